"""Want of workers: what nobody who is present could take is warned of, expires, or fails at the end."""

from __future__ import annotations

from callboard.actors.dispatch.agenda import Agenda
from callboard.actors.dispatch.backlog import Backlog
from callboard.actors.dispatch.command import Outbox, Warn
from callboard.actors.dispatch.ending import Endings
from callboard.actors.dispatch.entry import Entry
from callboard.actors.dispatch.profile import Profile
from callboard.actors.dispatch.requirement import Requirement, describe_skills
from callboard.actors.dispatch.roster import Roster
from callboard.messages.errors import NoCapableWorker

WARN_AFTER = 5.0
MAX_TOLD = 20


class Shortage:
    """Knows which requirements nobody meets. When ``closing``, nobody will come any more but the local workers that are
    being started."""

    def __init__(self, roster: Roster, agenda: Agenda, outbox: Outbox) -> None:
        self._roster = roster
        self._agenda = agenda
        self._outbox = outbox
        self._short: dict[Requirement, None] = {}
        self.closing = False

    def attach(self, backlog: Backlog, endings: Endings) -> None:
        """What waits, and how it ends."""
        self._backlog = backlog
        self._endings = endings

    def joined(self) -> None:
        """A worker has come: some are perhaps no longer short."""
        for requirement in list(self._short):
            if requirement.met:
                requirement.short_since = None
                del self._short[requirement]

    def gone(self, profile: Profile, now: float) -> None:
        """A worker of the profile has left."""
        if not profile.present:
            for requirement in list(self._roster.requirements.values()):
                if requirement.backlog:
                    self.check(requirement, now)

    def check(self, requirement: Requirement, now: float) -> None:
        """Look who could take what is ready."""
        if requirement.short_since is None:
            if requirement.met:
                return
            requirement.short_since = now
            self._short[requirement] = None
            for entry in requirement.waiting:
                self._agenda.arm(entry, now + (entry.category.expires_in or 0.0), self.expire)
        if self.closing and not self._roster.expects(requirement):
            for entry in requirement.all_ready():
                self._fail(entry, now)
        elif not requirement.warning:
            requirement.warning = True
            self._agenda.at(now + WARN_AFTER, self._warn, requirement)

    def check_all(self, now: float) -> None:
        """Look at everything that is ready."""
        for requirement in list(self._roster.requirements.values()):
            if requirement.backlog:
                self.check(requirement, now)

    def _warn(self, requirement: Requirement, now: float) -> None:
        requirement.warning = False
        if requirement.short_since is not None and requirement.backlog:
            text = f"{requirement.backlog} task(s) wait for a worker with {requirement.describe()}; {self._present()}"
            self._outbox.others.append(Warn(text))

    def expire(self, entry: Entry, now: float) -> None:
        """The time has come at which a task fails, unless a capable worker was there meanwhile."""
        requirement = entry.category.requirement
        if requirement.short_since is None:
            return  # somebody is there; should the last one leave, the time begins again
        due = requirement.short_since + (entry.category.expires_in or 0.0)
        if now < due:
            self._agenda.arm(entry, due, self.expire)
        else:
            self._fail(entry, now)

    def _fail(self, entry: Entry, now: float) -> None:
        self._backlog.discard(entry)
        needs = entry.category.requirement.describe()
        self._endings.fail(entry, now, NoCapableWorker(f"no worker can take task {entry.name!r}: it needs {needs}; {self._present()}"))

    def _present(self) -> str:
        profiles = [profile for profile in self._roster.profiles.values() if profile.present]
        if not profiles:
            return "no worker is present"
        rows = [
            f"{profile.present} x role {profile.role!r}" + (f" ({describe_skills(profile.skills)})" if profile.skills else "")
            for profile in profiles[:MAX_TOLD]
        ]
        return "present: " + "; ".join(rows)
