r"""`tracecore demo`: a shop of four services, one of them broken, and the trace that shows which.

    driver (run)                                                     every box is a process of its own
      | 1. starts, 2. sends checkouts, 3. stops, 4. collects, 5. judges
      |
      |  POST /checkout   +---------+  POST /orders        +-----------+
      +------------------>| gateway |--------------------->|  orders   |--- SQLite
                          |         |                      +-----------+
                          |         |  POST /reservations  +-----------+
                          |         |--------------------->| inventory |--- SQLite
                          |         |                      +-----------+
                          |         |  POST /payments      +-----------+  POST /charges  +----------+
                          |         |--------------------->|  payment  |---------------->| provider |  hangs for some cards
                          +---------+                      +-----------+  10 attempts    +----------+  not traced: a third party
                               \________________________________/
                                     OTLP over HTTP  |
                                               +----------+
                                               | receiver |
                                               +----------+

The services are ordinary Flask, requests and SQLite code, and know nothing of tracecore: they use the OpenTelemetry API, the
instrumentation packages are those of the OpenTelemetry project, and tracecore comes in by environment variables alone.

No process is left behind, whatever happens to the driver: see `process`.
"""
