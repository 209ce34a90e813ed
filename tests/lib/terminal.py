#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program on a terminal of its own, and tells what somebody would see.

    terminal.py COLUMNSxROWS DIR PROGRAM [ARGUMENT…]

DIR/screen: the lines on the screen now, replaced whenever something was drawn; DIR/exit: its exit code, at the end.
What appears in DIR/keys is typed; DIR/size (COLUMNSxROWS) resizes the terminal. It knows what our programs draw with:
newline, carriage return, and the sequences for up, home, and erasing to the end of a line, of the screen, or all of it.
"""
import fcntl, os, pty, re, select, struct, sys, termios


class Screen:
    def __init__(self, columns, rows):
        self.columns, self.rows, self.x, self.y, self.lines = columns, rows, 0, 0, [""]

    def resize(self, columns, rows):
        # As terminals do: what is too long is broken anew.
        lines = []
        for line in self.lines:
            lines += [line[i:i + columns] for i in range(0, max(len(line), 1), columns)]
        self.columns, self.rows = columns, rows
        self.lines, self.x = lines[-rows:], 0
        self.y = len(self.lines) - 1

    def down(self):
        self.y += 1
        if self.y == self.rows:
            self.lines.pop(0)
            self.y -= 1
        if self.y == len(self.lines):
            self.lines.append("")

    def put(self, c):
        if self.x == self.columns:
            self.x = 0
            self.down()
        line = self.lines[self.y].ljust(self.x)
        self.lines[self.y] = line[:self.x] + c + line[self.x + 1:]
        self.x += 1

    def sequence(self, number, letter):
        if letter == "A":
            self.y = max(0, self.y - max(number, 1))
        elif letter == "H":
            self.x = self.y = 0
        elif letter == "K":
            self.lines[self.y] = self.lines[self.y][:self.x]
        elif letter == "J" and number == 0:
            self.lines[self.y:] = [self.lines[self.y][:self.x]]
        elif letter == "J":
            self.lines = [""] * (self.y + 1)
        else:
            self.put("\N{REPLACEMENT CHARACTER}")

    def feed(self, text):
        for found in re.finditer(r"\x1b\[(\d*)([A-Za-z])|(.)", text, re.S):
            if found[2]:
                self.sequence(int(found[1] or 0), found[2])
            elif found[3] == "\n":
                self.down()
            elif found[3] == "\r":
                self.x = 0
            else:
                self.put(found[3])


def set_size(fd, size):
    columns, rows = map(int, size.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return columns, rows


def take(path):
    try:
        text = open(path).read()
        os.unlink(path)
        return text
    except FileNotFoundError:
        return ""


def put(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def main(size, where, *program):
    os.makedirs(where, exist_ok=True)
    child, fd = pty.fork()
    if child == 0:
        # The size is there before anybody asks for it.
        set_size(1, size)
        os.execvp(program[0], program)
    screen, rest = Screen(*map(int, size.split("x"))), b""
    while True:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            if not data:
                break
            rest += data
            # Whole sequences only.
            cut = rest.rfind(b"\x1b", max(0, len(rest) - 8))
            keep = cut if cut >= 0 and not re.search(rb"\x1b\[\d*[A-Za-z]", rest[cut:]) else len(rest)
            screen.feed(rest[:keep].decode(errors="replace"))
            rest = rest[keep:]
            put(where + "/screen", "\n".join(screen.lines) + "\n")
        keys, new_size = take(where + "/keys"), take(where + "/size")
        if new_size.strip():
            screen.resize(*map(int, new_size.split("x")))
            set_size(fd, new_size)
        if keys:
            os.write(fd, keys.encode())
    put(where + "/exit", str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) + "\n")


main(*sys.argv[1:])
