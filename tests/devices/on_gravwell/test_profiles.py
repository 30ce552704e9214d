"""The profiles of ``docs/devices.md``, all that need nothing but one file."""

from __future__ import annotations

from tests.devices.test_linux_updaters import *  # noqa: F403 - the same tests, of other routes
from tests.devices.test_microcontrollers import *  # noqa: F403

# Of more files than one, or in the other dialect's words.
del test_an_address_with_a_digest_keeps_clients_without_if_range_from_mixing  # noqa: F821
del test_arduino_is_told_when_there_is_nothing_for_it  # noqa: F821
del test_esphome_reads_the_md5_beside_the_image  # noqa: F821
del test_a_range_of_a_small_file_may_end_far_beyond_it  # noqa: F821
