import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, mock, test } from 'node:test';

import type { ClientCredentials, ScoreClient } from 'laurel-score-client';

import { calls, credentialsOf, eventually, open, script } from '../support.ts';
import type { Identity } from '../support.ts';

let folder: string;
let credentials: ClientCredentials;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'laurel-'));
  credentials = { caFile: join(folder, 'ca'), certificateFile: join(folder, 'tls'), keyFile: join(folder, 'key') };
  await script('GetStanding', { answer: { standing: { userId: 'ada' } } });
});

after(async () => await rm(folder, { recursive: true }));

async function put(name: 'ca' | 'tls' | 'key', source: string | URL): Promise<void> {
  await copyFile(source, join(folder, 'new'));
  await rename(join(folder, 'new'), join(folder, name));
}

async function replace(identity: Identity): Promise<void> {
  const { caFile, certificateFile, keyFile } = credentialsOf(identity);
  await put('ca', caFile);
  await put('tls', certificateFile);
  await put('key', keyFile);
}

async function openRenewable(options = {}): Promise<ScoreClient> {
  await replace('backend');
  return await open({ credentials, certificateCheckIntervalMs: 20, certificateActivationDelayMs: 0, ...options });
}

async function shows(client: ScoreClient, identity: Identity): Promise<boolean> {
  const own = new X509Certificate(await readFile(credentialsOf(identity).certificateFile));
  return client.certificateStatus().notAfter.getTime() === Date.parse(own.validTo);
}

test('what a client shows is told', async () => {
  await using client = await openRenewable();
  const { notBefore, notAfter, authorityNotAfter, fault } = client.certificateStatus();
  assert.equal(fault, null);
  assert.ok(notBefore.getTime() <= Date.now() && Date.now() < notAfter.getTime());
  assert.ok(authorityNotAfter.getTime() >= notAfter.getTime());
  assert.ok(await shows(client, 'backend'));
});

test('a renewed certificate is used, and calls go on', async () => {
  await using client = await openRenewable();
  await client.ping();
  await replace('gateway');
  await eventually(async () => {
    await client.ping();
    return await identityOf(client, 'action-gateway');
  });
});

test('files that do not belong together never take over, and are told', async () => {
  await using client = await openRenewable();
  await put('key', credentialsOf('gateway').keyFile);
  await eventually(() => client.certificateStatus().fault !== null);
  assert.match(client.certificateStatus().fault ?? '', /CREDENTIALS_UNUSABLE: The key is not that of the certificate/);
  await client.ping();
  await put('key', credentialsOf('backend').keyFile);
  await eventually(() => client.certificateStatus().fault === null);
});

test('files that are no PEM never take over, and the key is in no message', async () => {
  await using client = await openRenewable();
  await writeFile(join(folder, 'tls'), 'no certificate');
  await eventually(() => client.certificateStatus().fault !== null);
  assert.match(client.certificateStatus().fault ?? '', /is not a certificate in PEM/);
  await client.ping();
});

test('a certificate that no server accepts never takes over', async () => {
  await using client = await openRenewable();
  const { certificateFile, keyFile } = credentialsOf('foreign');
  await put('tls', certificateFile);
  await put('key', keyFile);
  await eventually(() => /No healthy server/.test(client.certificateStatus().fault ?? ''));
  await client.ping();
  assert.ok(await identityOf(client, 'sample-backend'));
});

test('a renewed certificate waits until it has been valid for the delay', async () => {
  await using client = await openRenewable({ certificateActivationDelayMs: 3_600_000 });
  await replace('gateway');
  for (let count = 0; count < 10; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(await identityOf(client, 'sample-backend'));
  }
  assert.equal(client.certificateStatus().fault, null);
});

test('a connection to a server whose certificate has expired since is closed, and calls go on', async () => {
  await using client = await openRenewable();
  const peer = await peerOf(client);
  assert.equal(await peerOf(client), peer);
  // TLS has its own clock, so the server is accepted again.
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 100 * 365 * 86_400_000 });
  try {
    await eventually(async () => (await peerOf(client)) !== peer);
  } finally {
    mock.timers.reset();
  }
});

test('what a program may log of a client has no key', async () => {
  await using client = await openRenewable();
  const { inspect } = await import('node:util');
  assert.doesNotMatch(inspect(client, { depth: 20, showHidden: true }), /PRIVATE KEY/);
});

async function peerOf(client: ScoreClient): Promise<string | undefined> {
  await client.getStanding({ boardId: 'main', userId: 'ada' });
  return (await calls('GetStanding')).at(-1)?.peer;
}

async function identityOf(client: ScoreClient, name: string): Promise<boolean> {
  await client.getStanding({ boardId: 'main', userId: 'ada' });
  return (await calls('GetStanding')).at(-1)?.identity.endsWith(`/${name}`) ?? false;
}
