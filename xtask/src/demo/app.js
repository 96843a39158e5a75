// node app.js PORT WORKERS READY-FILE: an application with an opinion on who may do what.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const [port, , ready] = process.argv.slice(2);

const answer = (response, status, body) => {
  response.writeHead(status, { 'Content-Type': 'application/json', 'X-Powered-By': 'demo-shop' });
  response.end(JSON.stringify(body) + '\n');
};

const server = http.createServer((request, response) => {
  // The quota is known before the first byte of the upload: no reason to wait for the rest.
  if (request.url === '/upload') return answer(response, 403, { error: 'quota exceeded' });
  request.resume().on('end', () => {
    if (request.url === '/keys') return answer(response, 403, { error: 'keys are for owners' });
    if (!request.headers.authorization) return answer(response, 403, { error: 'token missing' });
    answer(response, 200, { order: 'accepted' });
  });
});
server.listen(Number(port), '127.0.0.1', () => fs.writeFileSync(ready, ''));
