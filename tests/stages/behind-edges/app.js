// The application behind it all: it refuses for reasons of its own.
'use strict';
const express = require('express');

const app = express();
app.post('/orders', (request, response) => {
  const key = request.get('X-Api-Key');
  if (!key) return response.status(403).json({ error: 'missing_api_key' });
  if (key !== 'live-70d1c4') return response.status(403).json({ error: 'invalid_api_key' });
  response.json({ ordered: true });
});
app.post('/members', (request, response) => {
  if (request.get('X-Role') !== 'admin') return response.sendStatus(403);
  response.json({ added: true });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
