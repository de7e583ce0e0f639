"""GPTCache's own server with its OpenAI proxy on, in the Python that has it: PORT FOLDER PROVIDER ENCODER, the last two as base URLs.

Defaults (SQLite, FAISS, last message, SearchDistanceEvaluation, threshold 0.8), but for what its command line cannot say, the embedding,
and for what would only cost it time: counting of tokens (fetches a vocabulary), the report of hits, the flush of the whole index each 20
entries, one line on standard output a request. Nothing is evicted."""
import http.client
import json
import sys
import urllib.parse

import numpy
import openai
import uvicorn
from gptcache import Cache, Config
from gptcache.manager import manager_factory
from gptcache.processor.pre import last_content
from gptcache.similarity_evaluation import SearchDistanceEvaluation
from gptcache_server import server

MODEL, DIMENSIONS, FOREVER = "local/all-minilm-l6-v2", 384, 10**6


class Encoder:
    def __init__(self, base):
        self.url = urllib.parse.urlsplit(base)
        self.http = http.client.HTTPConnection(self.url.netloc, timeout=60)

    def __call__(self, text, **_):
        self.http.request("POST", self.url.path + "/embeddings", json.dumps({"model": MODEL, "input": text}).encode(),
                          {"Content-Type": "application/json", "Authorization": "Bearer sk-bench"})
        answer = json.loads(self.http.getresponse().read())
        return numpy.array(answer["data"][0]["embedding"], dtype="float32")


def main():
    port, folder, provider, encoder = sys.argv[1:5]
    openai.api_base = provider
    storage = manager_factory("sqlite,faiss", data_dir=folder, vector_params={"dimension": DIMENSIONS}, eviction_params={"max_size": FOREVER})
    server.openai_cache = Cache()
    server.openai_cache.init(pre_embedding_func=last_content, embedding_func=Encoder(encoder), data_manager=storage,
                             similarity_evaluation=SearchDistanceEvaluation(),
                             config=Config(auto_flush=FOREVER, enable_token_counter=False, disable_report=True))
    server.print = lambda *_: None
    uvicorn.run(server.app, host="127.0.0.1", port=int(port), log_level="error", access_log=False)


if __name__ == "__main__":
    main()
