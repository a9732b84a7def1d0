"""A host of pictures for the containers: /0.jpg and on, each 0.3 s late."""

import io
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        number = int(self.path.strip("/").removesuffix(".jpg"))
        picture = io.BytesIO()
        Image.new("RGB", (1200, 900), (number % 256, 120, 200)).save(picture, "JPEG", quality=92)
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(picture.tell()))
        self.end_headers()
        self.wfile.write(picture.getvalue())


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Pictures).serve_forever()
