// A real HTTP proxy on this machine: forwards plain requests and opens tunnels for CONNECT, to where a test says.

import { createServer, type IncomingHttpHeaders, request as send } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

export interface ProxyRigOptions {
  /** `user:password` that it asks for. */
  readonly login?: string;
  /** Where a tunnel to `host:port` really goes; default: there. */
  readonly route?: (target: string) => { readonly host: string; readonly port: number } | undefined;
}

export class ProxyRig {
  private constructor(
    readonly port: number,
    /** `GET http://...` and `CONNECT host:port`, each with the headers that the proxy saw. */
    readonly requests: readonly { readonly line: string; readonly headers: IncomingHttpHeaders }[],
    private readonly stop: () => Promise<void>,
  ) {}

  get lines(): readonly string[] {
    return this.requests.map(({ line }) => line);
  }

  static async start({ login, route }: ProxyRigOptions = {}): Promise<ProxyRig> {
    const requests: { line: string; headers: IncomingHttpHeaders }[] = [];
    const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString("base64")}`;
    const allowed = (headers: IncomingHttpHeaders) => wanted === undefined || headers["proxy-authorization"] === wanted;
    const sockets = new Set<Socket>();
    const server = createServer((request, response) => {
      requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
      if (!allowed(request.headers)) {
        response.writeHead(407).end();
        return;
      }
      const { "proxy-authorization": _login, ...headers } = request.headers;
      const onward = send(request.url!, { method: request.method!, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.on("error", () => response.destroy()).pipe(response);
      });
      onward.on("error", () => response.writeHead(502).end());
      request.pipe(onward);
    });
    server.on("connect", (request, client: Socket) => {
      requests.push({ line: `CONNECT ${request.url}`, headers: request.headers });
      sockets.add(client);
      const [host, port] = request.url!.split(":") as [string, string];
      const target = route === undefined ? { host, port: Number(port) } : route(request.url!);
      if (target === undefined || !allowed(request.headers)) {
        client.end(
          `HTTP/1.1 ${target === undefined ? "502 Bad Gateway" : "407 Proxy Authentication Required"}\r\n\r\n`,
        );
        return;
      }
      const onward = connect(target.port, target.host, () => {
        client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        onward.pipe(client).pipe(onward);
      });
      sockets.add(onward);
      const end = () => [client, onward].forEach((socket) => void socket.destroy());
      onward.on("error", end).on("close", end);
      client.on("error", end).on("close", end);
    });
    await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
    return new ProxyRig((server.address() as AddressInfo).port, requests, async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
