// A proxy that refuses everything and remembers who was asked for: whatever a browser wants beyond loopback ends here.
import { createServer } from "node:http";

export async function openRefuser() {
  const asked = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(403).end();
  });
  server.on("connect", (request, socket) => {
    asked.push(request.url);
    socket.on("error", () => {});
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, asked, close: () => server.close() };
}
