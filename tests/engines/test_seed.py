from __future__ import annotations

import pytest

from callboard import RetryPolicy
from callboard.engines import Executor
from callboard.flows import FlowStatus
from callboard.messages.status import TaskStatus
from tests.engines.conftest import ELSEWHERE, Heard
from tests.engines.seed_sample import (
    AttemptReadingTask,
    CorrectedWorkflow,
    DataIngestionTask,
    DataProcessingWorkflow,
    UnreliableServiceCallTask,
)


def test_a_simple_task_runs_by_itself() -> None:
    ingestion_task = DataIngestionTask(name="IngestFromS3")
    result = ingestion_task.run(data_source="s3://my-bucket/data.csv")
    assert (result.status, result.output) == (TaskStatus.COMPLETED, {"ingested_data": "Processed data from s3://my-bucket/data.csv"})


def test_the_workflow_as_it_stands_fails_by_its_own_mistake(executor: Executor) -> None:
    workflow_result = executor.execute(DataProcessingWorkflow(name="ETLWorkflow"), initial_inputs={"data_source": "s3://my-bucket/raw.csv"})
    assert workflow_result.status is FlowStatus.FAILED
    assert not workflow_result.is_completed()
    assert workflow_result.failures["CleanData"].check(AttributeError) is AttributeError
    assert "'str' object has no attribute 'items'" in str(workflow_result.error)
    with pytest.raises(AttributeError):
        workflow_result.unwrap()


def test_the_corrected_workflow_completes(executor: Executor) -> None:
    result = executor.execute(CorrectedWorkflow(name="ETLWorkflow"), initial_inputs={"data_source": "raw.csv"})
    assert result.is_completed()
    assert result.output == {
        "raw_data": {"text": "Processed data from raw.csv"},
        "processed_data": {"text": "PROCESSED DATA FROM RAW.CSV"},
        "storage_path": "/data/cleaned",
    }


def test_the_retrying_task_counts_on_its_instance(executor: Executor, kind: str, heard: Heard) -> None:
    if kind in ELSEWHERE:
        pytest.skip("nothing that an instance counts outlives an attempt in another process")
    # As in the sample, in hundredths of its seconds.
    retry_policy = RetryPolicy(max_attempts=3, backoff_factor=2, initial_delay_seconds=0.01)
    unreliable_task = UnreliableServiceCallTask(name="CallExternalAPI", retry_policy=retry_policy)
    result = executor.execute(unreliable_task, initial_inputs={"endpoint": "api.example.com/data"})
    assert (result.status, result.output) == (FlowStatus.COMPLETED, {"response": "Data from api.example.com/data"})
    assert len(heard.of("running")) == 3 and len(heard.of("retrying")) == 2


def test_a_task_that_reads_its_attempt_retries_everywhere(executor: Executor, heard: Heard) -> None:
    task = AttemptReadingTask(retry_policy=RetryPolicy(max_attempts=3, initial_delay_seconds=0.01))
    assert executor.execute(task, {"endpoint": "x"}).output == {"response": "Data from x"}
    short = AttemptReadingTask(retry_policy=RetryPolicy(max_attempts=2))
    failed = executor.execute(short, {"endpoint": "x"})
    assert (failed.status, failed.error) == (FlowStatus.FAILED, "AttemptReadingTask: TaskFailed: Service temporarily unavailable.")
