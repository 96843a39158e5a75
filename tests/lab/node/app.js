// node app.js PORT WORKERS READY-FILE: refuses every request but /ok.
'use strict';
const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const [port, workers, ready] = process.argv.slice(2);

cluster.schedulingPolicy = cluster.SCHED_RR;
if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', () => {
    if (++listening === Number(workers)) fs.writeFileSync(ready, '');
  });
  for (let i = 0; i < Number(workers); i++) cluster.fork();
} else {
  const big = Buffer.alloc(1 << 20, 'n');
  const answer = (request, response) => {
    const id = request.headers['x-request-id'];
    response.setHeader('X-Worker', process.pid);
    if (id) response.setHeader('X-Request-Id', id);
    response.statusCode = request.url === '/ok' ? 200 : 403;
    response.end(request.url === '/big' ? big : `worker ${process.pid} says ${response.statusCode}\n`);
  };
  const server = http.createServer((request, response) => {
    if (request.url === '/upload') return answer(request, response);
    request.resume().on('end', () => answer(request, response));
  });
  // Refused instead of continued: no "100 Continue" is sent.
  server.on('checkContinue', answer);
  server.keepAliveTimeout = 60_000;
  server.listen({ port: Number(port), host: '::', backlog: 1024 });
}
