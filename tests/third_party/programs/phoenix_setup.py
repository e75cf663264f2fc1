"""arize-phoenix-otel: its processors on our provider; `phoenix.otel.register` where ours stands in the SDK's place."""

import contextlib
import io
from typing import Any

from played import MODE, RESOURCE, Numbered, Receiver, SdkResource, make_of, otlp, play, provider, tell

arrived: dict[str, Any] = {}


def bodies(receiver: Receiver) -> list[bytes]:
    assert {path for path, *_ in receiver.requests} == {"/v1/traces"}
    return [body for *_, body in receiver.requests]


with contextlib.redirect_stdout(io.StringIO()):
    import phoenix.otel as phoenix

    for name in ("SimpleSpanProcessor", "BatchSpanProcessor"):
        receiver = Receiver()
        made = provider()
        made.add_span_processor(
            getattr(phoenix, name)(endpoint=receiver.url + "/v1/traces", headers={"x": "y"}, protocol="http/protobuf")
        )
        play(made)
        assert made.force_flush()
        made.shutdown()
        arrived[name] = otlp(*bodies(receiver))

    make = make_of(provider())
    if MODE != "tracecore":
        for batch in (False, True):
            receiver = Receiver()
            made = phoenix.register(
                endpoint=receiver.url + "/v1/traces", protocol="http/protobuf", project_name="shop", batch=batch,
                set_global_tracer_provider=False, resource=SdkResource(RESOURCE), id_generator=Numbered(),
            )
            make = make_of(made)
            play(made)
            assert made.force_flush()
            arrived[f"register, batch={batch}"] = otlp(*bodies(receiver))
            made.shutdown()

        # A processor of the program's own takes the place of the default one.
        first, second = Receiver(), Receiver()
        made = phoenix.register(endpoint=first.url + "/v1/traces", protocol="http/protobuf", set_global_tracer_provider=False,
                                resource=SdkResource(RESOURCE), id_generator=Numbered())
        made.add_span_processor(phoenix.SimpleSpanProcessor(endpoint=second.url + "/v1/traces", protocol="http/protobuf"))
        play(made)
        made.force_flush()
        arrived["replaced default"] = [len(first.requests), otlp(*bodies(second))]
        made.shutdown()
tell(make=make, arrived=arrived)
