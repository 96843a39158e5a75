// A Fastify application with its plugin against forged requests.
'use strict';
const fastify = require('fastify');

async function main() {
  const app = fastify();
  await app.register(require('@fastify/cookie'));
  await app.register(require('@fastify/csrf-protection'), {
    getToken: (request) => request.headers['csrf-token'],
  });
  app.post('/basket', { preHandler: app.csrfProtection }, async () => ({ added: true }));
  app.post('/stock', async (request, reply) => {
    if (request.headers['x-role'] !== 'keeper') {
      return reply.code(403).send({ statusCode: 403, error: 'Forbidden', message: 'keepers only' });
    }
    return { counted: true };
  });
  await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) });
}

main();
