// SPDX-License-Identifier: MIT
// A reverse proxy that can stop the data of its open streams without closing them, like a lost connection.

import { once } from "node:events";
import { createServer, request } from "node:http";

export async function freezingProxy(server) {
  const streams = new Set();
  const proxy = createServer((incoming, outgoing) => {
    const { method, headers } = incoming;
    const upstream = request(server.url + incoming.url, { method, headers }, (response) => {
      outgoing.writeHead(response.statusCode, response.headers);
      if (incoming.url.startsWith("/v1/stream")) streams.add(response);
      response.pipe(outgoing);
    });
    upstream.on("error", () => outgoing.destroy());
    outgoing.on("close", () => upstream.destroy());
    incoming.pipe(upstream);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    url: `http://127.0.0.1:${proxy.address().port}`,
    // Stops the data of the streams that are open now, without closing them.
    freeze() { for (const stream of streams) stream.unpipe().resume(); },
    close() {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}
