"""A process that speaks OpenAI's chat completions in front of a model in a folder: ``chat_server.py FOLDER``.

Prints its port. The tiny models know few positions, so only the last tokens of a conversation are read.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SEEN, SAID = 40, 12

torch.set_num_threads(1)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).train(False)


class Completions(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        talk = "\n".join(message["content"] for message in asked["messages"])
        if self.path != "/v1/chat/completions" or "teapot" in talk:
            self.send_error(418)
            return
        torch.manual_seed(asked.get("seed", 0))
        ids = torch.tensor([tokenizer(talk)["input_ids"][-SEEN:]])
        out = model.generate(ids, do_sample=True, max_new_tokens=SAID, pad_token_id=0)[0, ids.size(1) :]
        usage = {"prompt_tokens": ids.size(1), "completion_tokens": len(out), "total_tokens": ids.size(1) + len(out)}
        message = {"role": "assistant", "content": tokenizer.decode(out, skip_special_tokens=True)}
        body = json.dumps({"choices": [{"message": message}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", 0), Completions)
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
server.serve_forever()
