"""The metrics of several workers in one answer."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import threading
import time

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.runtime import left_behind
from loopline.platform_core.runtime import metrics_together as module
from loopline.platform_core.runtime.metrics_together import MetricsTogether, together
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import come_to, served
from loopline.resources.local.serving import LocalServing


def test_series_are_labelled_and_comments_stand_once():
    """A metric's lines stay together, with or without labels of their own; what no series is stays as it is."""
    texts = {
        "t-1": '# TYPE a counter\na{model="m"} 1\n# HELP b what it is\n# TYPE b gauge\nb 2\n',
        "t-2": '# TYPE a counter\na{model="m"} 3\na{model="n"} 4\n# HELP b what it is\n# TYPE b gauge\nb 5.5e-06\n',
    }
    assert together(texts).splitlines() == [
        "# TYPE a counter",
        'a{worker="1",model="m"} 1',
        'a{worker="2",model="m"} 3',
        'a{worker="2",model="n"} 4',
        "# HELP b what it is",
        "# TYPE b gauge",
        'b{worker="1"} 2',
        'b{worker="2"} 5.5e-06',
    ]


def test_the_loop_goes_on_while_texts_are_left_and_put_together(tmp_path, monkeypatch):
    """Threads do both, since a thousand models make megabytes."""
    threads, main = list[int](), threading.get_ident()

    def noted(does):
        def do(*given):
            threads.append(threading.get_ident())
            return does(*given)

        return do

    monkeypatch.setattr(left_behind, "LEAVE_SECONDS", 0.01)
    monkeypatch.setattr(module, "together", noted(together))
    monkeypatch.setattr(left_behind.states, "leave", noted(left_behind.states.leave))
    whole = MetricsTogether(tell, tmp_path, Worker(tmp_path, "t-1").name)
    assert asyncio.run(scraped(whole, tmp_path / "observed/t-1/metrics.txt")) == b'# TYPE a counter\na{worker="1"} 1\n'
    assert len(threads) >= 2
    assert main not in threads


async def tell(scope, receive, send):
    """Be an application with one metric."""
    if scope["type"] == "lifespan":
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"# TYPE a counter\na 1\n"})


async def scraped(app, left):
    """Run an application until it has left its text, and return what a scrape gets then."""
    end, sent = asyncio.Event(), []

    async def send(message):
        sent.append(message)

    living = asyncio.create_task(app({"type": "lifespan"}, end.wait, send))
    for _ in range(1000):
        await asyncio.sleep(0 if left.exists() else 0.01)  # turns of the loop: a file tells nobody
    await app({"type": "http", "method": "GET", "path": "/metrics", "headers": []}, None, send)
    end.set()
    await living
    return sent[-1]["body"]


def test_any_worker_tells_of_all(tmp_path):
    """Requests on many connections meet two workers; a scrape of either counts every one of them, soon."""
    port, model = free_port(), "kit.together"
    serving = LocalServing(root=f"{tmp_path}/serving", port=port)
    file = tmp_path / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{tmp_path}/serving", port: {port}}}
  online_store: {{vendor: sqlite, path: "{tmp_path}/online.db"}}
""")
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": ["k"]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    with inference_server(file, port, workers=2):
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        asked, counted = 0, list[int]()
        while asked < 400 and (len(counted) < 2 or sum(counted) < asked):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}))
            assert connection.getresponse().read()
            connection.close()
            asked += 1
            end = time.monotonic() + 30
            while sum(counted := scrape(port, model)) < asked and time.monotonic() < end:
                time.sleep(0.1)  # between two scrapes: a worker leaves its counts now and then
        assert (sum(counted), len(counted)) == (asked, 2), counted
        end, before = time.monotonic() + 300, 0
        while before < asked and time.monotonic() < end:
            now = statistics(port, model)
            assert before <= now <= asked  # whichever worker answers, a count never goes back
            before = now
        assert before == asked


def statistics(port, model):
    """Return the count of requests that any worker tells of all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/v2/models/{model}/stats")
    (one,) = json.loads(connection.getresponse().read())["model_stats"]
    connection.close()
    assert one["inference_count"] == one["execution_count"] == one["inference_stats"]["success"]["count"]
    return one["execution_count"]


def scrape(port, model):
    """Return the count of requests by worker, as one scrape tells it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(
        rf'^loopline_requests_total{{worker="\d+",model="{model}",version="1"}} (\d+)$', text, re.MULTILINE
    )
    return [int(count) for count in found]
