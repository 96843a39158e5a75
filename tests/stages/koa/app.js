// A Koa application that throws its refusals.
'use strict';
const Koa = require('koa');

const app = new Koa();
app.use(async (context) => {
  const account = context.get('X-Account');
  if (context.path === '/posts' && account !== 'author') context.throw(403);
  if (context.path === '/drafts' && account !== 'author') context.throw(403, 'Drafts are private');
  context.body = 'saved';
});
app.silent = true;
app.listen(Number(process.argv[2]), '127.0.0.1');
