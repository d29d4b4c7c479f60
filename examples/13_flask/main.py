"""Flask, or any WSGI program: views add jobs through the sync producer, which has the event loop in a thread.

Serve it: `flask --app main run`, or `gunicorn main:web`; with gunicorn's --preload, too. Run as a program, it asks
itself through Flask's test client.
"""

from flask import Flask

from conveyor import Conveyor
from conveyor.errors import JobNotFoundError

app = Conveyor("sqlite:///shop.db")
orders = app.queue("orders")

# Opened by the first add in each process, closed when the process ends. Without app.worker() it only adds, and
# `conveyor worker main:app` runs the jobs in other processes.
producer = app.sync_producer(app.worker(concurrency=5))


@orders.job()
def pack(order: int) -> str:
    return f"order {order} is packed"


def create_web() -> Flask:
    web = Flask(__name__)

    @web.post("/orders/<int:order>")
    def take_order(order: int) -> tuple[dict[str, str], int]:
        job = producer.add(pack, order)
        return {"job": job.id}, 202

    @web.get("/jobs/<job_id>")
    def show_job(job_id: str) -> tuple[dict[str, str], int]:
        try:
            job = producer.call(app.jobs.get, job_id)
        except JobNotFoundError as error:
            return {"error": str(error)}, 404
        result: str = producer.result(job, timeout="10s")
        return {"state": job.state, "result": result}, 200

    return web


web = create_web()


def main() -> None:
    client = web.test_client()
    added = client.post("/orders/1").get_json()
    shown = client.get(f"/jobs/{added['job']}")
    print(shown.status_code, shown.get_json())
    print(client.get("/jobs/unknown").status_code)


if __name__ == "__main__":
    main()
