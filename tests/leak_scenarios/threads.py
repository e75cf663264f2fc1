"""Threads that make spans and end."""

import threading

from measure import measure, provider_with

provider = provider_with()
tracer = provider.get_tracer("a")


def work() -> None:
    with tracer.start_as_current_span("a", attributes={"k": [1]}):
        tracer.start_span("b").end()


def once() -> None:
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


measure(once, provider, n=150, mapped_kib=1024)
