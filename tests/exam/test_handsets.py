"""What a phone must hear, by recordings that were made before."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from toiplab.exam import parking
from toiplab.exam.handsets import TONES, hears, hears_music, needs_keys, switched_on
from toiplab.exam.prompts import Alike, Prompt, wait_for_prompt
from toiplab.exam.registry import CheckFailedError, NotHereError
from toiplab.phones.sound import RATE, Recording


class Listener:
    """A phone that hears a given recording, as fast as it is asked to listen."""

    number = "5001"
    tone = 440

    def __init__(self, *parts: Recording) -> None:
        self.coming = Recording.join(parts)
        self.at = 0.0

    def listen(self, seconds: float) -> Recording:
        before, self.at = self.at, self.at + seconds
        return self.coming.until(self.at).since(before)

    def recording(self) -> Recording:
        return self.coming.until(self.at)


other = SimpleNamespace(number="5002", tone=620)


def tone(hz, seconds):
    return Recording(0.25 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE))


def noise(seconds, seed=1):
    return Recording(np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)))


silence = Recording(np.zeros(5 * RATE))


def test_a_tone_is_waited_for():
    heard = hears(Listener(silence, noise(1), tone(620, 2)), other)

    assert heard.seconds_of(620) >= 1
    assert heard.seconds_of(440) == 0


@pytest.mark.parametrize(
    ("recording", "told"),
    [
        (Recording(np.zeros(0)), "heard no sound at all"),
        (silence, r"heard silence \(\d"),
        (tone(440, 5), r"heard 440 Hz for \d\.\d s"),
        (Recording(tone(440, 5).samples + tone(620, 5).samples), "heard sound, no tone"),
        (tone(620, 0.4), "heard 620 Hz for 0.4 s"),
    ],
)
def test_another_sound_is_not_the_others_voice(recording, told):
    expected = rf"^5001: expected to hear 5002 \(620 Hz\), {told}"
    with pytest.raises(CheckFailedError, match=expected):
        hears(Listener(recording), other, within=0.02)


def test_music_is_nobodys_tone():
    assert not hears_music(Listener(tone(620, 2), noise(3))).silent


@pytest.mark.parametrize("recording", [Recording(np.zeros(0)), silence, tone(1050, 9)])
def test_silence_and_a_voice_are_no_music(recording):
    with pytest.raises(CheckFailedError, match="5001: expected music, heard"):
        hears_music(Listener(recording), within=0.01)


french, english = noise(2, seed=1), noise(2, seed=2)
prompt = Prompt("vm-intro", own=french, english=english)


def test_a_prompt_is_waited_for():
    told = wait_for_prompt(Listener(silence, french, silence), prompt, within=10, own_language=True)

    assert told == "vm-intro heard"


@pytest.mark.parametrize("played", [english, silence, Recording(np.zeros(0))])
def test_the_english_prompt_is_not_the_french_one(played):
    with pytest.raises(CheckFailedError, match="5001: expected the prompt vm-intro, heard"):
        wait_for_prompt(Listener(played, silence), prompt, within=0.3, own_language=True)


def test_where_the_language_is_no_matter_english_will_do():
    assert wait_for_prompt(Listener(english, silence), prompt, within=10) == "vm-intro heard"


@pytest.mark.parametrize("played", [noise(2, seed=3), silence])
def test_another_sound_is_no_prompt_in_any_language(played):
    with pytest.raises(CheckFailedError, match="5001: expected the prompt vm-intro, heard"):
        wait_for_prompt(Listener(played, silence), prompt, within=0.3)


def test_a_prompt_that_is_english_in_both_folders_is_not_the_lab_s():
    same = Prompt("vm-intro", own=english, english=english)

    assert not Alike.of(english, same).own_language


def test_a_lab_that_speaks_english_is_content_with_it():
    only = Prompt("vm-intro", own=english, english=Recording(np.zeros(0)))

    assert Alike.of(english, only).own_language


def test_a_prompt_whose_end_is_cut_off_by_the_call_s_is_heard():
    cut = french.until(french.seconds - 0.1)

    assert Alike.of(cut, prompt).own_language


def test_the_tones_are_no_multiples_of_one_another():
    assert not [(a, b) for a in TONES for b in TONES if a < b and b % a == 0]


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param(tone(810, 9), id="another voice, first"),
        pytest.param(noise(9), id="a noise"),
    ],
)
def test_a_voice_that_is_not_alone_is_not_taken_for_it(beside):
    both = Recording(tone(620, 9).samples + beside.samples)

    with pytest.raises(CheckFailedError, match=r"^5001: expected to hear 5002 \(620 Hz\)"):
        hears(Listener(both), other, within=0.02)


def test_a_voice_is_heard_once_others_have_fallen_silent():
    assert hears(Listener(tone(810, 3), tone(620, 2)), other).seconds_of(620) >= 1


@pytest.mark.parametrize(("mode", "possible"), [("rfc2833", True), ("auto", True), ("info", False)])
def test_keys_are_pressed_as_events_only(lab, mode, possible):
    sip = lab.sip.model_copy(update={"dtmf_mode": mode})
    subject = SimpleNamespace(lab=lab.model_copy(update={"sip": sip}))

    if possible:
        needs_keys(subject)
        return
    with pytest.raises(NotHereError, match="do not press keys by info"):
        needs_keys(subject)


def test_a_lab_whose_codecs_no_phone_speaks_is_skipped(subject):
    sip = subject.lab.sip.model_copy(update={"codecs": ("g722",)})
    deaf = dataclasses.replace(subject, lab=subject.lab.model_copy(update={"sip": sip}))

    with pytest.raises(NotHereError, match="speak none of g722"), switched_on(deaf):
        pass


DIGITS = {digit: noise(0.8, seed=70 + int(digit)) for digit in "0279"}


@pytest.mark.parametrize(
    ("slot", "spoken", "told"),
    [
        ("702", "702", ""),
        ("709", "709", ""),
        ("720", "702", "digits 5001 hears once: expected 7 2 0, saw 7 0 2"),
        ("702", "072", "digits 5001 hears once: expected 7 0 2, saw 0 7 2"),
        ("702", "70", "5001: expected the prompt digits/2, heard sound"),
        ("722", "722", ""),
    ],
)
def test_a_slot_is_spoken_digit_by_digit(monkeypatch, slot, spoken, told):
    silent = Recording(np.zeros(0))
    monkeypatch.setattr(parking, "prompt", lambda _, name: Prompt(name, DIGITS[name[-1]], silent))
    phone = Listener(silence, *(DIGITS[digit] for digit in spoken), silence, silence)
    monkeypatch.setattr(parking, "HEARD_SECONDS", 2)

    with pytest.raises(CheckFailedError, match=f"^{told}") if told else nullcontext():
        parking._hears_digits(None, phone, slot)
