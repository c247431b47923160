"""How old what is read may be."""

from scopedcache.api.transport import IDLE_TIMEOUT_SECONDS
from scopedcache.informer.silence_watchdog import SilenceWatchdog


def test_the_age_is_what_went_by_since_the_server_was_last_heard():
    clock = [100.0]
    watchdog = SilenceWatchdog(lambda: clock[0])
    ages = [watchdog.age]
    clock[0] = 130.0
    ages.append(watchdog.age)
    watchdog.heard()
    clock[0] = 131.5
    ages.append(watchdog.age)
    assert ages == [0.0, 30.0, 1.5]


def test_a_silence_longer_than_the_pause_between_bookmarks_is_the_end_of_a_connection():
    assert SilenceWatchdog(lambda: 0.0).idle_timeout == IDLE_TIMEOUT_SECONDS > 60
    assert SilenceWatchdog(lambda: 0.0, idle_timeout=30.0).idle_timeout == 30.0
