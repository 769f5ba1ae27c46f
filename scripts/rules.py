#!/usr/bin/env python3
"""A container that is not Clary, as small as the contract lets one be: lines of class,confidence become name,confidence.

usage: rules.py PORT
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAMES = ["setosa", "versicolor", "virginica"]


class Rules(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200 if self.path == "/ping" else 404, "")

    def do_POST(self):
        lines = self.rfile.read(int(self.headers["Content-Length"])).decode().split()
        try:
            rows = [line.split(",") for line in lines]
            self.reply(200, "".join(f"{NAMES[int(row[0])]},{row[1]}\n" for row in rows))
        except (ValueError, IndexError) as e:
            self.reply(400, f"lines of class,confidence are wanted: {e}")

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/csv" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", int(sys.argv[1])), Rules).serve_forever()
