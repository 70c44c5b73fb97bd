"""Events: watch tasks from their beginning to their end, and let events start what follows.

A portrait is painted; that it is completed starts the varnishing, and the varnisher's own event starts the framing.
"""

from __future__ import annotations

import asyncio

from callboard import Event, Playground, ProcessRequest, ProcessWorker, Task


class Painter(ProcessWorker):
    def process(self, request: ProcessRequest) -> str:
        request.progress(0.5, "first coat")
        return f"a portrait of {request.data}"


class Finisher(ProcessWorker):
    def process(self, request: ProcessRequest) -> str:
        event = request.metadata["event"]  # what started this task
        if request.name == "varnish":
            request.emit("picture.dry", picture=event["name"])
        return f"{request.name} after {event['topic']}"


def show(event: Event) -> None:
    details = ", ".join(f"{key}={value!r}" for key, value in event.data.items() if key in ("fraction", "picture", "text"))
    print(f"{event.topic:<15} {event.name or ''} {details}".rstrip())


async def main() -> None:
    crew = [Painter("ada", role="paint"), Finisher("bob", role="finish")]
    async with Playground().play(workers=crew) as stage:
        stage.on("task.*", show, where={"name": "portrait"})
        stage.on("picture.*", show)
        stage.on("task.completed", start=Task("varnish", "finish"), where={"name": "portrait"})
        stage.on("picture.dry", start=Task("frame", "finish"))
        stage.on("task.completed", lambda event: print(f"done: {event.name} by {event.worker}"))
        ends = stage.events("task.completed", where={"name": "frame"})

        await stage.add_and_execute_task(Task("portrait", "paint", {"data": "a cat"}))

        async for event in ends:
            print(f"the whole took {event.sequence} tasks")
            break


if __name__ == "__main__":
    asyncio.run(main())
