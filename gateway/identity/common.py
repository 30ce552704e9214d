"""Which passwords are among those that are tried first.

No list of all of them: words that people take, and what they do to them (digits and signs behind,
figures for letters, twice the same), keys that lie beside each other, and what repeats itself.
"""

from __future__ import annotations

from typing import Final

_FIGURES: Final = str.maketrans("013457@$!|", "oieastasil")
_ROWS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujmikolp",
)
_AROUND: Final = "0123456789!?.,;:-_*#$@+&%= "
_SHORTEST_RUN: Final = 4
_LISTED: Final = """
abc access account admin administrator alexander amanda andrea andrew angel anthony apple april
arsenal asdf ashley august autumn azerty banana baseball basketball batman benjamin bitte blink
bonjour buster butterfly chang change changeme charlie chelsea chocolate chris christian
computer cookie cowboys dallas daniel default demo device diamond dragon eagles elephant
elizabeth email estrella facebook family ferrari firmware flower football forever freedom friday
friends gateway gfhjkm ginger google guest hallo hannah harley hello hockey hottie house hunter
iloveu iloveyou internet jasmine jennifer jessica jesus jordan joshua july june junior justin
killer kitty klaster letmein liverpool login london lovely lover loveyou maggie manager march
marina martin master matrix matthew melissa mercedes merlin michael michelle monday monkey
mother mustang mypass mypassword myspace naruto nicole ninja nothing number october operator
oracle orange pass passphrase passw passwd password passwort patrick pepper phoenix player
pokemon princess private purple qazwsx querty qwert qwerty qwertyuiop qwertz rainbow ranger
raspberry robert root samantha samsung saturday secret secure security sensor september server
shadow silver slipknot snoopy soccer spiderman spring starwars steelers summer sunday sunshine
superman superstar support sweetie system taylor teacher temp temporary test tester testing
thomas thunder tigger tinkerbell trustno twitter user username vanessa victoria welcome whatever
william winter yankees yellow zaqwsx
"""
_WORDS: Final = frozenset(_LISTED.split())


def is_common(password: str, email: str = "") -> bool:
    """Whether it is one that is guessed early, or says no more than the address does."""
    plain = password.casefold()
    local = email.casefold().rpartition("@")[0]
    if plain in {email.casefold(), local} or len(set(plain)) <= 2:
        return True
    bare = plain.strip(_AROUND)
    return any(_is_word(form) for form in (plain, bare, bare.translate(_FIGURES)))


def _is_word(text: str) -> bool:
    return not text or text in _WORDS or _repeats(text) or _is_run(text)


def _repeats(text: str) -> bool:
    """Whether it is one word, or one short piece, again and again."""
    for size in range(1, len(text) // 2 + 1):
        piece = text[:size]
        if piece * (len(text) // size) == text and (len(piece) < _SHORTEST_RUN or piece in _WORDS):
            return True
    return False


def _is_run(text: str) -> bool:
    """Whether it is made of keys, letters or figures that lie beside each other."""
    while text:
        size = max((_run(text, row) for row in (*_ROWS, *(r[::-1] for r in _ROWS))), default=0)
        if size < _SHORTEST_RUN:
            return False
        text = text[size:]
    return True


def _run(text: str, row: str) -> int:
    at, size = row.find(text[0]), 0
    while at >= 0 and size < len(text) and at + size < len(row) and text[size] == row[at + size]:
        size += 1
    return size
