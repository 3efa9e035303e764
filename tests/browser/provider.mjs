// A certified OpenID provider (the npm package oidc-provider, brought by tests/run) on a free port of this machine, for the tests in a browser.
// Anybody may say there that they are anybody; NAME is known as NAME@example.com. Its pages are our own, since the package's load fonts from elsewhere.
// node provider.mjs FOLDER REDIRECT_URI POST_LOGOUT_REDIRECT_URI; prints its issuer once it listens and ends with its standard input.
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

const [folder, redirect, afterLogout] = process.argv.slice(2);
const { default: Provider } = await import(`${folder}/node_modules/oidc-provider/lib/index.js`);

const page = (body) => `<!doctype html><meta charset="utf-8"><title>The provider</title>${body}`;
const asked = {
  login: '<label>Name <input name="login"></label><label>Password <input name="password" type="password"></label>',
  consent: '<p id="consent">May the gateway know who you are?</p>',
};

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
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: {
        logoutSource: (ctx, form) => {
          ctx.body = page(`${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
        },
      },
    },
    pkce: { required: () => true },
    cookies: { keys: ['of these tests'] },
  });

  const interact = async (request, response) => {
    const { prompt, params, session } = await provider.interactionDetails(request, response);
    if (request.method !== 'POST') {
      response.setHeader('content-type', 'text/html');
      response.end(page(`<form method="post">${asked[prompt.name]}<button type="submit">Go on</button></form>`));
      return;
    }
    const form = new URLSearchParams(await text(request));
    if (prompt.name === 'login') {
      await provider.interactionFinished(request, response, { login: { accountId: form.get('login') } });
      return;
    }
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  };

  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/interaction/')) return answer(request, response);
    return interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  console.log(issuer);
});
process.stdin.on('end', () => process.exit()).resume();
