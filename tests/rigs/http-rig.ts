// A real HTTP server on this machine whose answers a test scripts, request by request.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export class HttpRig {
  private constructor(
    readonly origin: string,
    /** `GET /path bytes=10-` for each request so far. */
    readonly requests: readonly string[],
    private readonly stop: () => Promise<void>,
  ) {}

  /** Each request takes the next handler; the last one answers all further requests. */
  static async start(...handlers: Handler[]): Promise<HttpRig> {
    const requests: string[] = [];
    const server = createServer((request, response) => {
      const handler = handlers[Math.min(requests.length, handlers.length - 1)]!;
      requests.push([request.url, request.headers.range, request.headers["if-range"]].filter(Boolean).join(" "));
      handler(request, response);
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    const { port } = server.address() as AddressInfo;
    return new HttpRig(`http://127.0.0.1:${port}`, requests, async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Serves a body as a good server does, with ranges and a strong ETag. */
export function serve(body: Buffer, etag = '"v1"'): Handler {
  return (request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const ifRange = request.headers["if-range"];
    if (range === null || (ifRange !== undefined && ifRange !== etag)) {
      response.writeHead(200, { etag, "content-length": body.length }).end(body);
      return;
    }
    const from = Number(range[1]);
    if (from >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
      return;
    }
    const part = body.subarray(from);
    const contentRange = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(206, { etag, "content-length": part.length, "content-range": contentRange }).end(part);
  };
}

/** Serves a body as large files are served: any range of it, said beforehand. `cut` ends each body after so many bytes. */
export function serveRanges(body: Buffer, { etag = '"v1"', cut = Number.POSITIVE_INFINITY } = {}): Handler {
  return (request, response) => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const ifRange = request.headers["if-range"];
    const isPart = range !== null && (ifRange === undefined || ifRange === etag);
    const from = isPart ? Number(range[1]) : 0;
    const to = isPart && range[2] !== "" ? Math.min(body.length, Number(range[2]) + 1) : body.length;
    const headers = { etag, "accept-ranges": "bytes", "content-length": to - from };
    const contentRange = { "content-range": `bytes ${from}-${to - 1}/${body.length}` };
    response.writeHead(isPart ? 206 : 200, isPart ? { ...headers, ...contentRange } : headers);
    if (to - from <= cut) response.end(body.subarray(from, to));
    else response.write(body.subarray(from, from + cut), () => setTimeout(() => response.destroy(), 10));
  };
}

/** Announces the whole body, sends `bytes` of what is asked for, and cuts the connection. */
export function cutAfter(body: Buffer, bytes: number, etag: string | undefined = '"v1"'): Handler {
  return (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const headers = { ...(etag === undefined ? {} : { etag }), "content-length": body.length - from };
    const range = { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` };
    response.writeHead(from > 0 ? 206 : 200, from > 0 ? { ...headers, ...range } : headers);
    response.write(body.subarray(from, from + bytes), () => setTimeout(() => response.destroy(), 20));
  };
}

export function status(code: number, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(code, headers).end();
  };
}
