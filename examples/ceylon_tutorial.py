# mypy: disable-error-code="no-untyped-call,no-untyped-def,type-arg"
"""Ceylon's tutorial, as its text has it: three workers, three tasks, a success rate.

Only the imports are callboard's, and the simulated work takes hundredths of seconds.
"""

import asyncio
from dataclasses import dataclass

from callboard import ProcessRequest, ProcessWorker, Task, TaskProcessingPlayground


@dataclass
class WorkTask:
    id: int
    description: str
    difficulty: int


class WorkerProcessor(ProcessWorker):
    def __init__(self, name: str, skill_level: int):
        super().__init__(name=name, role="worker")
        self.skill_level = skill_level

    async def _processor(self, request: ProcessRequest, time: int) -> tuple[bool, dict]:
        task = request.data
        await asyncio.sleep(task.difficulty / 100)  # Simulate work
        success = self.skill_level >= task.difficulty
        return success, {
            "task_id": task.id,
            "worker": self.name,
            "difficulty": task.difficulty,
        }


async def main():
    playground = TaskProcessingPlayground(name="task_playground", port=8000)
    workers = [
        WorkerProcessor("Junior", skill_level=3),
        WorkerProcessor("Intermediate", skill_level=6),
        WorkerProcessor("Senior", skill_level=9),
    ]
    tasks = [
        WorkTask(id=1, description="Simple task", difficulty=2),
        WorkTask(id=2, description="Medium task", difficulty=5),
        WorkTask(id=3, description="Complex task", difficulty=8),
    ]

    async with playground.play(workers=workers) as active_playground:
        ceylon_tasks = [
            Task(
                name=f"Task {task.id}",
                processor="worker",
                input_data={"data": task},
            )
            for task in tasks
        ]

        results = []
        for task in ceylon_tasks:
            result = await active_playground.add_and_execute_task(
                task=task,
                wait_for_completion=True,
            )
            results.append(result)

        for result in results:
            print(f"{result.name}: success={result.success} by {result.output['worker']}")
        success_rate = sum(1 for result in results if result.success) / len(results)
        print(f"Success rate: {success_rate:.0%}")


if __name__ == "__main__":
    asyncio.run(main())
