#!/usr/bin/env bash
# A server that goes away under a call makes `@grpc/grpc-js` 1.14.7 report INTERNAL, where others report UNAVAILABLE.
#
# INTERNAL is for invariants that are broken, and policies do not retry it; a connection that is lost is UNAVAILABLE
# (https://grpc.io/docs/guides/status-codes). A server of gRPC 1.85 for Python that stops without a grace sends a GOAWAY with
# INTERNAL_ERROR. The program below does the same, and a call under way ends so. Seen on Linux x86-64, Node 24.19:
#
#     INTERNAL: Received RST_STREAM with code 2 triggered by internal client error: Session closed with error code 2
#
# A client that retries has to look at the text to tell this from what a server reports. Needs Node 20 or newer with npm, or
# NODE= and NPM= that name them, and a package registry. Fails once the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
${NPM:-npm} install --silent --no-audit --no-fund --ignore-scripts @grpc/grpc-js@1.14.7

cat >lost.js <<'PROGRAM'
import http2 from 'node:http2';
import grpc from '@grpc/grpc-js';

const server = http2.createServer();
server.on('session', (session) => session.on('error', () => undefined));
server.on('stream', (stream) => {
  stream.on('error', () => undefined);
  stream.session.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR);
});
server.listen(0, '127.0.0.1', () => {
  const client = new grpc.Client(`127.0.0.1:${server.address().port}`, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0,
  });
  const same = (bytes) => bytes;
  client.makeUnaryRequest('/a.Service/Method', same, same, Buffer.alloc(0), { deadline: Date.now() + 5000 }, (error) => {
    console.log(`${grpc.status[error.code]}: ${error.details}`);
    process.exit();
  });
});
PROGRAM

said=$(${NODE:-node} lost.js)
echo "$said"
[[ $said == 'INTERNAL: Received RST_STREAM with code 2 triggered by internal client error: Session closed with error code 2' ]]
