package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"

	"packetwalk/assets"
	"packetwalk/lab"
	"packetwalk/trace/why/rebuild"
)

// readMail reads the files, or in the sandbox what packMail made of them: a pipe
// can be read only once.
func readMail(flags mailFlags) (rebuild.Mail, error) {
	var mail rebuild.Mail
	if lab.InSandbox() {
		file := lab.Handed(0)
		defer file.Close()
		if err := gob.NewDecoder(file).Decode(&mail); err != nil {
			return mail, fmt.Errorf("taking over what was mailed: %w", err)
		}
		return mail, nil
	}
	for _, part := range []struct {
		file *rebuild.File
		path string
	}{{&mail.Ruleset, flags.ruleset}, {&mail.Addresses, flags.addresses}, {&mail.Routes, flags.routes}} {
		if part.path == "" {
			continue
		}
		var err error
		if *part.file, err = readMailed(part.path); err != nil {
			return mail, usageError{inputError{fmt.Errorf("reading what was mailed: %w", err)}}
		}
	}
	return mail, nil
}

func readMailed(path string) (rebuild.File, error) {
	if isStdin(path) {
		data, err := io.ReadAll(os.Stdin)
		return rebuild.File{Name: "standard input", Text: string(data)}, err
	}
	data, err := os.ReadFile(path)
	return rebuild.File{Name: path, Text: string(data)}, err
}

// packMail writes what was read into a file without a name, for the sandbox.
func packMail(mail rebuild.Mail) (*os.File, error) {
	fd, err := unix.MemfdCreate("mail", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("handing what was mailed to the sandbox: %w", os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "mail")
	err = gob.NewEncoder(file).Encode(mail)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("handing what was mailed to the sandbox: %w", err), file.Close())
	}
	return file, nil
}

// askTerminal makes the terminal the standard input where that was a file of the
// mail, so that a question can be answered. Where there is no terminal it says so.
func askTerminal(lang string) (unasked string) {
	if term.IsTerminal(os.Stdin.Fd()) {
		return ""
	}
	if term.IsTerminal(os.Stderr.Fd()) { // where the question is put
		if terminal, err := os.Open("/dev/tty"); err == nil {
			os.Stdin = terminal
			return ""
		}
	}
	return assets.For(lang).WhyFix.Unasked
}
