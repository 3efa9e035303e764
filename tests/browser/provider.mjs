// A certified OpenID provider (the npm package oidc-provider, brought by tests/run) on a free port of this machine, for the tests in a browser.
// Anybody may say there that they are anybody; NAME is known as NAME@example.com.
// node provider.mjs FOLDER REDIRECT_URI POST_LOGOUT_REDIRECT_URI; prints its issuer once it listens and ends with its standard input.
import { createServer } from 'node:http';

const [folder, redirect, afterLogout] = process.argv.slice(2);
const { default: Provider } = await import(`${folder}/node_modules/oidc-provider/lib/index.js`);

const server = createServer().listen(0, '127.0.0.1', () => {
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'gateward',
      client_secret: 's3cret of the gateway',
      redirect_uris: [redirect],
      post_logout_redirect_uris: [afterLogout],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (_, name) => ({
      accountId: name,
      claims: () => ({ sub: name, email: `${name}@example.com`, email_verified: true }),
    }),
    pkce: { required: () => true },
    cookies: { keys: ['of these tests'] },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.on('end', () => process.exit()).resume();
