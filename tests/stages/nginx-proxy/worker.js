// An application that runs as nobody and meets a file that it may not read: node worker.js PORT DIR
const http = require('http');
const fs = require('fs');

const [port, dir] = process.argv.slice(2);

function answer(response, status, body) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

http.createServer((request, response) => {
  request.resume().on('end', () => {
    if (request.url.startsWith('/prices')) {
      // The file decides.
      fs.readFile(`${dir}/www/prices/${request.headers['x-list'] || 'all'}.txt`, (error) => {
        answer(response, error ? 403 : 200, error ? { error: 'forbidden' } : { ok: true });
      });
    } else {
      // A cache that may be missing: what it says does not matter.
      fs.readFile(`${dir}/www/prices/all.txt`, () => {
        const admin = request.headers['x-role'] === 'admin';
        answer(response, admin ? 200 : 403, admin ? { ok: true } : { error: 'forbidden' });
      });
    }
  });
}).listen(Number(port), '127.0.0.1');
