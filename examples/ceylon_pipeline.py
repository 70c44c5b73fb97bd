# mypy: disable-error-code="no-untyped-call,no-untyped-def,type-arg"
"""The snippets of Ceylon's tutorial for pipelines, batches and aggregated results, with workers that do what they name.

`create_pipeline`, the batch and `aggregate_results` stand as they are in its text.
"""

import asyncio

from callboard import ProcessRequest, ProcessWorker, Task, TaskProcessingPlayground

data = [3, -1, 4, -1, 5]
batch_size = 8


async def create_pipeline(playground):
    # Data preparation task
    prep_task = Task(
        name="Data Preparation",
        processor="prep_worker",
        input_data={"raw_data": data},
    )

    # Processing task depending on prep
    process_task = Task(
        name="Data Processing",
        processor="process_worker",
        dependencies={prep_task.id},
    )

    # Final aggregation
    aggregate_task = Task(
        name="Result Aggregation",
        processor="aggregator",
        dependencies={process_task.id},
    )

    # Execute pipeline
    tasks = [prep_task, process_task, aggregate_task]
    results = []
    for task in tasks:
        result = await playground.add_and_execute_task(task)
        results.append(result)

    return results


async def aggregate_results(results):
    success_count = sum(1 for r in results if r.success)
    success_rate = success_count / len(results)
    return {
        "success_rate": success_rate,
        "total_tasks": len(results),
        "successful_tasks": success_count,
    }


class PrepWorker(ProcessWorker):
    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, list]:
        return True, [abs(number) for number in request.input_data["raw_data"]]


class ProcessingWorker(ProcessWorker):
    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, list]:
        (prepared,) = request.dependency_data.values()
        return True, [number * number for number in prepared.output]


class AggregatorWorker(ProcessWorker):
    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, int]:
        return True, sum(sum(result.output) for result in request.dependency_data.values())


class BatchWorker(ProcessWorker):
    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, dict]:
        batch_id = request.input_data["batch_id"]
        return batch_id != 5, {"batch_id": batch_id}  # one of them does not succeed, and says so


async def main():
    workers = [
        PrepWorker("prep", role="prep_worker"),
        ProcessingWorker("process", role="process_worker"),
        AggregatorWorker("aggregate", role="aggregator"),
        *[BatchWorker(f"Worker-{i}", role="worker") for i in range(2)],
    ]
    async with TaskProcessingPlayground(name="pipeline").play(workers=workers) as playground:
        for result in await create_pipeline(playground):
            print(f"{result.name}: {result.output}")

        # The same, all at once and in the wrong order: the dependencies put it right.
        prep = Task("Data Preparation", "prep_worker", {"raw_data": data})
        process = Task("Data Processing", "process_worker", dependencies={prep.id})
        aggregate = Task("Result Aggregation", "aggregator", dependencies={process.id})
        results = await asyncio.gather(*[playground.add_and_execute_task(task) for task in (aggregate, process, prep)])
        print("at once:", results[0].output)

        task_batch = [Task(name=f"Batch-{i}", processor="worker", input_data={"batch_id": i}) for i in range(batch_size)]
        results = await asyncio.gather(*[playground.add_and_execute_task(task) for task in task_batch])
        print(await aggregate_results(results))


if __name__ == "__main__":
    asyncio.run(main())
