// A provider of OpenID Connect for tests: node provider.mjs <port> <keys file> <address of our pages> <where we hear it>
// It takes any password, and says of people that they are in the group that ends their name: ana.science.
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const [port, keys, pages, heard] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const said = (name) => ({ sub: `id-of-${name}`, preferred_username: name, groups: [name.split('.')[1] ?? 'nobody'], email: `${name}@example.org`, email_verified: !name.startsWith('new') });
const person = (id) => ({ accountId: id, claims: () => said(id.replace(/^id-of-/, '')) });

const provider = new Provider(issuer, {
  clients: [
    { client_id: 'portal', client_secret: 'portal-secret', redirect_uris: [`${pages}/sign-in/callback`], post_logout_redirect_uris: [`${pages}/sign-out`], backchannel_logout_uri: heard, backchannel_logout_session_required: true, grant_types: ['authorization_code', 'refresh_token'] },
    { client_id: 'cli', token_endpoint_auth_method: 'none', redirect_uris: [], response_types: [], grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'], application_type: 'native' },
    { client_id: 'ci', client_secret: 'ci-secret', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
  ],
  jwks: JSON.parse(readFileSync(keys, 'utf8')),
  cookies: { keys: ['of the tests'] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  fetch: (url, { dispatcher, ...asked }) => fetch(url, asked), // else it asks nobody on this machine
  pkce: { required: () => true },
  findAccount: (_, id) => person(id),
  extraTokenClaims: (_, token) => (token.accountId ? said(token.accountId.replace(/^id-of-/, '')) : {}),
  ttl: { IdToken: (_, __, client) => (client.clientId === 'cli' ? 120 : 3600), AccessToken: 300, ClientCredentials: 300, DeviceCode: 60, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => ctx.oidc.params?.resource ?? 'urn:loopline',
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({ scope: 'openid', audience: resource === 'urn:loopline' ? 'portal' : resource, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } } }),
    },
  },
});
provider.listen(Number(port), '127.0.0.1');
