// An Express application: each route refuses in one of the ways that are common there.
'use strict';
const cookieParser = require('cookie-parser');
const csurf = require('csurf');
const express = require('express');
const jwt = require('jsonwebtoken');

// Error pages show traces, and these the folders of the machine.
Error.stackTraceLimit = 0;

const KEY = 'a-secret-of-the-stages-0123456789abcdef';
const app = express();
app.use(cookieParser());
app.use(express.urlencoded({ extended: false }));
app.use(express.json());

// The secret of the token is in the cookie `_csrf`; tokens made with it stay good.
app.post('/profile', csurf({ cookie: true }), (request, response) => response.send('saved'));

app.post('/admin', (request, response) => {
  if (request.cookies.role !== 'admin') return response.sendStatus(403);
  response.send('done');
});

app.post('/transfers', (request, response) => {
  const token = (request.get('Authorization') || '').replace('Bearer ', '');
  let claims;
  try {
    claims = jwt.verify(token, KEY, { audience: 'orders' });
  } catch (fault) {
    return response.status(403).json({ error: 'invalid_token', message: fault.message });
  }
  if (!claims.scope.split(' ').includes('orders:write')) {
    response.set('WWW-Authenticate', 'Bearer error="insufficient_scope", scope="orders:write"');
    return response.status(403).json({ error: 'insufficient_scope' });
  }
  response.json({ moved: true });
});

// As the package `cors` is often told: throw for an origin that is not on the list.
const ALLOWED = ['http://app.example'];
app.all('/widgets', (request, response, next) => {
  const origin = request.get('Origin');
  if (origin && !ALLOWED.includes(origin)) {
    return next(Object.assign(new Error('Not allowed by CORS'), { status: 403 }));
  }
  response.set('Access-Control-Allow-Origin', origin || ALLOWED[0]);
  response.json({ made: true });
});

app.post('/notes/:owner', (request, response) => {
  const account = request.get('X-Account');
  if (account !== request.params.owner) {
    return response.status(403).json({ success: false, message: 'You do not own this note' });
  }
  response.json({ success: true });
});

app.listen(Number(process.argv[2]), '127.0.0.1');
