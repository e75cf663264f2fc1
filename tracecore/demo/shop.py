"""The services of the shop: gateway, orders, inventory, payment.  Run as `python -m tracecore.demo.shop <service> ... <socket>`.

Ordinary service code.  It knows the OpenTelemetry API and nothing of who implements it; spans for HTTP and SQL come from the
instrumentation packages, those for the steps of the business are made here.

Steps take a tenth of the time they take in the account of the 30 second checkout that this demo replays, and so does the fault:
ten attempts of 300 ms each instead of ten of 3 s.
"""

from __future__ import annotations

import argparse
import logging
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from werkzeug.serving import make_server

from tracecore.demo.process import end_with_the_driver

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Time here to time in the original account.
SCALE = 0.1
#: How long payment waits for an answer of the card provider, and how often it tries.
PROVIDER_TIMEOUT_S = 3.0 * SCALE
PROVIDER_ATTEMPTS = 10
#: The gateway has more patience than payment needs to give up: 10 attempts of 0.3 s.  That is the mistake.
SERVICE_TIMEOUT_S = 20.0

#: A card that works, and one for which the provider hangs.
GOOD_CARD = "tok_good"
HANGING_CARD = "tok_hangs"

ITEMS = {"book": 2450, "lamp": 3999, "mug": 899}  # prices in cents

SCHEMAS = {
    "orders": """
        CREATE TABLE prices (item TEXT PRIMARY KEY, cents INTEGER NOT NULL);
        CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, cents INTEGER NOT NULL);
        CREATE TABLE order_items (order_id INTEGER NOT NULL REFERENCES orders, item TEXT NOT NULL);
    """,
    "inventory": """
        CREATE TABLE stock (item TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0));
        CREATE TABLE reservations (order_id INTEGER NOT NULL, item TEXT NOT NULL);
    """,
}

tracer = trace.get_tracer("shop")


class ProviderUnavailable(Exception):
    """The card provider gave no answer in any attempt."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service is given: its database, and the base URLs of those it calls."""

    database: Path
    peers: Mapping[str, str]

    def connect(self) -> closing[sqlite3.Connection]:
        """Open the database for one request; a SQLite connection stays with the thread that opened it."""
        return closing(sqlite3.connect(self.database, timeout=10))

    def post(self, service: str, path: str, message: Mapping[str, Any]) -> requests.Response:
        """Send a message to another service."""
        return requests.post(self.peers[service] + path, json=message, timeout=SERVICE_TIMEOUT_S)


def create_databases(directory: Path) -> None:
    """Create the databases with prices and plenty of stock.  Called by the driver, so that no trace begins with a schema."""
    for service, schema in SCHEMAS.items():
        with closing(sqlite3.connect(directory / f"{service}.db")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # kept in the file: readers and the writer do not wait for each other
            connection.executescript(schema)
            if service == "orders":
                connection.executemany("INSERT INTO prices VALUES (?, ?)", ITEMS.items())
            else:
                connection.executemany("INSERT INTO stock VALUES (?, ?)", [(item, 1_000_000) for item in ITEMS])
            connection.commit()


def gateway(around: Surroundings) -> Flask:
    """Build the gateway: one checkout is an order, a reservation and a payment, one after another."""
    app = Flask("gateway")

    @app.post("/checkout")
    def checkout() -> ResponseReturnValue:
        wanted = request.get_json()
        span = trace.get_current_span()
        span.set_attribute("user.id", wanted["user"])
        span.set_attribute("cart.item_count", len(wanted["items"]))
        work(original_ms=50)

        # The caller gets the trace id with every answer: that is what a support ticket should quote.
        answer: dict[str, Any] = {"trace_id": trace.format_trace_id(span.get_span_context().trace_id)}
        order = around.post("orders", "/orders", {"user": wanted["user"], "items": wanted["items"]})
        if order.ok:
            answer |= order.json()
            reservation = around.post("inventory", "/reservations", {"order_id": answer["order_id"], "items": wanted["items"]})
            if reservation.ok:
                charge = {"order_id": answer["order_id"], "cents": answer["cents"], "card": wanted["card"]}
                payment = around.post("payment", "/payments", charge)
                answer |= payment.json()
                if payment.ok:
                    return jsonify(answer)
        return jsonify(answer), 502

    return app


def orders(around: Surroundings) -> Flask:
    """Build the order service: validate the cart, create the order."""
    app = Flask("orders")

    @app.post("/orders")
    def create() -> ResponseReturnValue:
        wanted = request.get_json()
        items: list[str] = wanted["items"]
        with around.connect() as connection:
            cursor = connection.cursor()
            with tracer.start_as_current_span("Validate cart") as span:
                work(original_ms=30)
                cursor.execute("SELECT item, cents FROM prices")
                prices = dict(cursor.fetchall())
                cents = sum(prices[item] for item in items)
                span.set_attribute("cart.total", cents / 100)
            with tracer.start_as_current_span("Create order") as span:
                work(original_ms=10)
                with tracer.start_as_current_span("Database write"), connection:
                    cursor.execute("INSERT INTO orders (user_id, cents) VALUES (?, ?)", (wanted["user"], cents))
                    order_id = cursor.lastrowid
                    cursor.executemany("INSERT INTO order_items VALUES (?, ?)", [(order_id, item) for item in items])
                    work(original_ms=55)
                assert order_id is not None
                span.set_attribute("order.id", order_id)
        return jsonify(order_id=order_id, cents=cents), 201

    return app


def inventory(around: Surroundings) -> Flask:
    """Build the inventory service: check stock, reserve the items."""
    app = Flask("inventory")

    @app.post("/reservations")
    def reserve() -> ResponseReturnValue:
        wanted = request.get_json()
        items: list[str] = sorted(set(wanted["items"]))
        with around.connect() as connection:
            cursor = connection.cursor()
            with tracer.start_as_current_span("Check stock") as span:
                work(original_ms=50)
                cursor.execute("SELECT item FROM stock WHERE quantity > 0")
                in_stock = {item for (item,) in cursor.fetchall()}
                span.set_attribute("stock.available", in_stock.issuperset(items))
            if not in_stock.issuperset(items):
                return jsonify(reserved=False), 409
            with tracer.start_as_current_span("Reserve items") as span, connection:
                span.set_attribute("order.id", wanted["order_id"])
                cursor.executemany("UPDATE stock SET quantity = quantity - 1 WHERE item = ?", [(item,) for item in items])
                reservations = [(wanted["order_id"], item) for item in items]
                cursor.executemany("INSERT INTO reservations VALUES (?, ?)", reservations)
                work(original_ms=70)
        return jsonify(reserved=True), 201

    return app


def payment(around: Surroundings) -> Flask:
    """Build the payment service, the one with the fault: it retries a call that cannot succeed, while the customer waits."""
    app = Flask("payment")

    @app.post("/payments")
    def pay() -> ResponseReturnValue:
        wanted = request.get_json()
        with tracer.start_as_current_span("Validate payment") as span:
            span.set_attribute("payment.amount", wanted["cents"] / 100)
            span.set_attribute("payment.currency", "USD")
            work(original_ms=50)
        try:
            with tracer.start_as_current_span("Charge card") as span:
                work(original_ms=180)
                transaction, attempts = charge(around, wanted["card"], wanted["cents"])
                span.set_attribute("payment.transaction_id", transaction)
        except ProviderUnavailable:
            return jsonify(paid=False, attempts=PROVIDER_ATTEMPTS), 502
        return jsonify(paid=True, attempts=attempts), 201

    return app


def charge(around: Surroundings, card: str, cents: int) -> tuple[str, int]:
    """Charge a card at the provider; return its transaction id and the number of attempts.

    Raises ProviderUnavailable when no attempt was answered.
    """
    with tracer.start_as_current_span("External API call") as span:
        span.set_attribute("peer.service", "card-provider")
        span.set_attribute("retry.limit", PROVIDER_ATTEMPTS)
        for attempt in range(1, PROVIDER_ATTEMPTS + 1):
            if attempt == 1:
                span.add_event("calling_external_api", {"api.provider": "card-provider"})
            else:
                span.add_event("retry_attempt", {"retry.count": attempt - 1})
            message: dict[str, Any] = {"card": card, "cents": cents}
            try:
                answer = requests.post(around.peers["provider"] + "/charges", json=message, timeout=PROVIDER_TIMEOUT_S)
            except requests.Timeout:
                timeout_ms = round(PROVIDER_TIMEOUT_S * 1e3)
                span.add_event("external_api_timeout", {"error.message": f"Timeout after {timeout_ms}ms"})
                continue
            span.set_status(StatusCode.OK)
            return str(answer.json()["transaction_id"]), attempt
        raise ProviderUnavailable(f"no answer in {PROVIDER_ATTEMPTS} attempts")


def work(original_ms: float) -> None:
    """Spend the time that this step takes, at the scale of the demo."""
    time.sleep(original_ms * SCALE / 1e3)


SERVICES: Mapping[str, Callable[[Surroundings], Flask]] = {
    "gateway": gateway,
    "orders": orders,
    "inventory": inventory,
    "payment": payment,
}


def without_trace_headers(app: WSGIApplication) -> WSGIApplication:
    """Wrap an application as a proxy would that knows no trace headers: it drops them, and the trace breaks here."""

    def proxied(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        environ.pop("HTTP_TRACEPARENT", None)
        environ.pop("HTTP_TRACESTATE", None)
        return app(environ, start_response)

    return proxied


def main() -> None:
    """Serve one of the services on an inherited socket until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--drop-trace-headers", action="store_true")
    parser.add_argument("socket", type=int)
    options = parser.parse_args()
    end_with_the_driver()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request

    app = SERVICES[options.service](Surroundings(options.database, dict(peer.split("=", 1) for peer in options.peer)))

    @app.get("/ready")
    def ready() -> ResponseReturnValue:
        # Which provider this process runs on is for the driver to check: an API without one records nothing, silently.
        provider = type(trace.get_tracer_provider())
        return jsonify(provider=f"{provider.__module__}.{provider.__qualname__}", cpu_s=time.process_time())

    served: WSGIApplication = without_trace_headers(app) if options.drop_trace_headers else app
    with socket.socket(fileno=options.socket) as listener:
        host, port = listener.getsockname()
        server = make_server(host, port, served, threaded=True, fd=listener.fileno())
    server.serve_forever()


if __name__ == "__main__":
    main()
