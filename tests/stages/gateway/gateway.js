// A small gateway: keys, what each may do, how often, and where; then the application is asked.
'use strict';
const http = require('http');
const httpProxy = require('http-proxy');

const [, , port, next] = process.argv;
const KEYS = {
  'gk-reader-41': { scopes: ['read'], calls: Infinity },
  'gk-writer-42': { scopes: ['read', 'write'], calls: Infinity },
  'gk-trial-43': { scopes: ['read', 'write'], calls: 2 },
  'gk-retired-44': { expired: '2024-06-30' },
};
const ROUTES = ['/v1/orders', '/v1/refunds'];
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${next}`, xfwd: true });

function judge(request) {
  const route = ROUTES.find((prefix) => request.url.startsWith(prefix));
  if (!route) return { code: 'route_not_found', message: `no API is published at ${request.url}` };
  const name = request.headers['x-api-key'];
  if (!name) return { code: 'key_missing', message: 'an API key is needed' };
  const key = KEYS[name];
  if (!key) return { code: 'key_invalid', message: 'this API key is not known' };
  if (key.expired) return { code: 'key_expired', message: `this API key expired on ${key.expired}` };
  if (!key.scopes.includes('write')) {
    return { code: 'insufficient_scope', message: 'this API key lacks the scope "write"' };
  }
  if (key.calls === 0) return { code: 'quota_exceeded', message: 'the quota of this API key is used up' };
  key.calls -= 1;
  return null;
}

http
  .createServer((request, response) => {
    const refusal = judge(request);
    if (!refusal) return proxy.web(request, response);
    request.resume();
    response.writeHead(403, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(refusal));
  })
  .listen(Number(port), '127.0.0.1');
