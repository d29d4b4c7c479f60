"""What commands show of jobs, and of what is told about them: without their secrets, unless somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from conveyor._cli.opening import services_of
from conveyor._services.masking import secrets_of
from conveyor.model.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._app import Conveyor
    from conveyor._handles.job import Job
    from conveyor._services.services import Services
    from conveyor.model.job import JobData
    from conveyor.model.masking import Masking

__all__ = ["Mask", "mask_of"]

_ERROR_TEXTS: Final = ("message", "traceback")


def mask_of(app: Conveyor, *, unmasked: bool) -> Mask:
    """Return what leaves out the secrets of an app's jobs; of sealed arguments, once the app is open."""
    return Mask(services_of(app), None if unmasked else app.masking)


@frozen
class Mask:
    """Leaves the secrets out of what is known of jobs; without a masking, all is shown as it is."""

    _services: Services
    _masking: Masking | None

    def job(self, job: Job[Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what is shown of a job and, beside it, of what else is known of it."""
        record = job.to_json() | dict(more or {})
        if self._masking is None:
            return record
        return self._masking.job(record, self._of(job.data, self._masking))

    def text(self, text: str, job: JobData) -> str:
        """Return what is shown of a text about a job."""
        return text if self._masking is None else self._masking.text(text, self._of(job, self._masking))

    def schedule(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is shown of a schedule."""
        return dict(record) if self._masking is None else self._masking.job(record)

    def error(self, error: Mapping[str, Any], job: JobData | None) -> dict[str, Any]:
        """Return what is shown of a record that has the message or traceback of a job's error.

        Of a job that is gone nobody knows the secrets: of its errors the type is shown, not the texts.
        """
        if self._masking is None:
            return dict(error)
        texts = {name: error[name] for name in _ERROR_TEXTS if error.get(name)}
        return {**error, **{name: MASK if job is None else self.text(text, job) for name, text in texts.items()}}

    async def event(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is shown of an event; its job is looked up where it tells something in words.

        Of a job that is gone, the words and the result are hidden, as `error` says.
        """
        if self._masking is None:
            return dict(record)
        secrets = await self._told_by(record, self._masking)
        if secrets is not None:
            return self._masking.job(record, secrets)
        hidden = dict(record)
        if "error" in record:
            hidden["error"] = self.error(record["error"], None)
        if "progress" in record:
            hidden["progress"] = {**record["progress"], "message": MASK}
        if "result" in record:
            hidden["result"] = MASK
        return hidden

    async def _told_by(self, record: Mapping[str, Any], masking: Masking) -> frozenset[str] | None:
        """Return the secrets of the job that an event tells of in words; None: it is gone."""
        if "error" not in record and "result" not in record and not record.get("progress", {}).get("message"):
            return frozenset()
        # Looked up each time: its data may be another by now.
        job = await self._services.store.jobs.find_job(record["job_id"])
        return None if job is None else self._of(job, masking)

    def _of(self, job: JobData, masking: Masking) -> frozenset[str]:
        return secrets_of(job, masking, self._services.payload_codec)
