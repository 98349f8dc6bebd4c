"""A slave that speaks the original protocol only: prints its port, then answers. The token is the first argument."""
import http.server
import json
import subprocess
import sys

TOKEN = sys.argv[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Slave(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/api/health":
            methods = {"docker": False, "venv": False, "python": True}
            self.answer(200, {"status": "healthy", "python_version": sys.version, "execution_methods": methods,
                              "version": "1.0.0", "commit": COMMIT, "branch": "main"})
        elif self.path == "/api/version":
            self.answer(200, {"commit": COMMIT, "version": "1.0.0", "branch": "main"})
        else:
            self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != "Bearer " + TOKEN:
            self.answer(401, {"error": "Unauthorized"})
            return
        done = subprocess.run([sys.executable, "-c", json.loads(body)["command"]], capture_output=True, text=True)
        self.answer(200, {"success": done.returncode == 0, "output": done.stdout, "error": done.stderr, "method": "python"})

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slave)
print(server.server_address[1], flush=True)
server.serve_forever()
