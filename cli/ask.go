package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/term"
	"github.com/mattn/go-isatty"
)

// asker asks a person plain questions, one line each, so that they work on every
// terminal and with a screen reader.
type asker struct {
	in  io.Reader
	out io.Writer
}

// newAsker gives nil when nobody is there to ask. Questions go to the terminal
// itself, so that standard output may go elsewhere.
func newAsker(in io.Reader) *asker {
	i, ok := in.(*os.File)
	if !ok || !isatty.IsTerminal(i.Fd()) {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return &asker{in, tty}
}

func (a *asker) close() {
	if c, ok := a.out.(io.Closer); ok {
		_ = c.Close()
	}
}

var errNoAnswer = errors.New("no answer: the input has ended, and nothing was written")

// line reads a line, byte by byte, so that what follows it stays for the next
// question. It gives up when ctx ends.
func (a *asker) line(ctx context.Context) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		var b []byte
		one := make([]byte, 1)
		for len(b) < 4096 {
			n, err := a.in.Read(one)
			if n > 0 && one[0] == '\n' {
				got <- answer{string(b), nil}
				return
			}
			b = append(b, one[:n]...)
			if err != nil {
				got <- answer{"", errNoAnswer}
				return
			}
		}
		got <- answer{"", errors.New("the answer is too long")}
	}()
	select {
	case r := <-got:
		return strings.TrimSpace(strings.TrimSuffix(r.text, "\r")), r.err
	case <-ctx.Done():
		fmt.Fprintln(a.out)
		return "", ctx.Err()
	}
}

// text asks until an answer passes; an empty one stands for def.
func (a *asker) text(ctx context.Context, question, def string, check func(string) error) (string, error) {
	for {
		fmt.Fprint(a.out, question)
		if def != "" {
			fmt.Fprintf(a.out, " [%s]", def)
		}
		fmt.Fprint(a.out, ": ")
		s, err := a.line(ctx)
		if err != nil {
			return "", err
		}
		if s == "" {
			s = def
		}
		if err := check(s); err != nil {
			fmt.Fprintf(a.out, "  %s\n", clean(err.Error()))
			continue
		}
		return s, nil
	}
}

// secret asks for what must not be shown.
func (a *asker) secret(ctx context.Context, question string) (string, error) {
	f, ok := a.in.(*os.File)
	if !ok {
		return a.text(ctx, question, "", notEmpty)
	}
	fmt.Fprintf(a.out, "%s (not shown): ", question)
	before, err := term.GetState(f.Fd())
	if err != nil {
		return "", err
	}
	type answer struct {
		b   []byte
		err error
	}
	got := make(chan answer, 1)
	go func() {
		b, err := term.ReadPassword(f.Fd())
		got <- answer{b, err}
	}()
	select {
	case r := <-got:
		fmt.Fprintln(a.out)
		if r.err != nil {
			return "", errNoAnswer
		}
		return strings.TrimSpace(string(r.b)), nil
	case <-ctx.Done():
		_ = term.Restore(f.Fd(), before)
		fmt.Fprintln(a.out)
		return "", ctx.Err()
	}
}

// confirm asks for yes or no.
func (a *asker) confirm(ctx context.Context, question string, def bool) (bool, error) {
	letters := "y/N"
	if def {
		letters = "Y/n"
	}
	s, err := a.text(ctx, question, letters, func(s string) error {
		if s == letters || slices.Contains([]string{"y", "n", "yes", "no"}, strings.ToLower(s)) {
			return nil
		}
		return errors.New("answer y or n")
	})
	if s == letters {
		return def, err
	}
	return strings.HasPrefix(strings.ToLower(s), "y"), err
}

// pick asks for some of n numbered things; def, from 1, is what no answer stands
// for, 0 for nothing.
func (a *asker) pick(ctx context.Context, question string, n, def int) ([]int, error) {
	text := ""
	if def > 0 {
		text = strconv.Itoa(def)
	}
	s, err := a.text(ctx, question, text, func(s string) error { _, err := numbers(s, n); return err })
	if err != nil {
		return nil, err
	}
	return numbers(s, n)
}

// numbers reads numbers from 1 to n, such as "1" or "1, 3", and gives places.
func numbers(s string, n int) ([]int, error) {
	var out []int
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		i, err := strconv.Atoi(word)
		if err != nil || i < 1 || i > n {
			return nil, fmt.Errorf("answer with numbers from 1 to %d, such as 1 or 1,2", n)
		}
		if !slices.Contains(out, i-1) {
			out = append(out, i-1)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("answer with a number from 1 to %d", n)
	}
	return out, nil
}

func notEmpty(s string) error {
	if s == "" {
		return errors.New("it must not be empty")
	}
	return nil
}

// heading writes the name of a step.
func heading(w io.Writer, text string) {
	_, _ = lipgloss.Fprintf(w, "\n%s\n", lipgloss.NewStyle().Bold(true).Render(text))
}
