// The application behind the gateway, which trusts it, and has one rule of its own.
'use strict';
const express = require('express');

const app = express();
app.post('/v1/orders', (request, response) => response.json({ ordered: true }));
app.post('/v1/refunds', (request, response) => {
  response.status(403).json({ code: 'not_owner', message: 'the order belongs to somebody else' });
});
app.listen(Number(process.argv[2]), '127.0.0.1');
