package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
	"github.com/mattn/go-isatty"
)

// whatWidth is the width of the column that says what was checked.
const whatWidth = 24

// printFindings writes the findings by group, with a line that sums up. On a
// terminal long lines are broken; elsewhere each finding is one line and its fix
// another, so that they can be searched.
func printFindings(w io.Writer, found []finding) error {
	width := widthOf(w)
	var b strings.Builder
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	group := ""
	count := map[string]int{}
	for _, f := range found {
		if f.Group != group {
			if group != "" {
				b.WriteString("\n")
			}
			group = f.Group
			b.WriteString(bold.Render(strings.ToUpper(group[:1])+group[1:]) + "\n")
		}
		count[f.Result]++
		head := resultStyle(f.Result).Render(fmt.Sprintf("%-4s", f.Result)) + fmt.Sprintf("  %-*s  ", whatWidth, f.What)
		writeWrapped(&b, head, f.Detail, width, plainStyle)
		if f.Fix != "" {
			writeWrapped(&b, strings.Repeat(" ", 4+2+whatWidth+2), "-> "+f.Fix, width, faint)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", summary(count))
	_, err := lipgloss.Fprint(w, b.String())
	return err
}

func summary(count map[string]int) string {
	text := fmt.Sprintf("%d ok, %d to look at, %d to mend", count[resultOK], count[resultWarn], count[resultFail])
	if count[resultFail] > 0 {
		return resultStyle(resultFail).Render(text) + ": a run would not work as it is"
	}
	return resultStyle(resultOK).Render(text)
}

// plainStyle adds nothing.
var plainStyle = lipgloss.NewStyle()

func resultStyle(result string) lipgloss.Style {
	colour := map[string]string{resultOK: "2", resultWarn: "3", resultFail: "1"}[result]
	return lipgloss.NewStyle().Bold(result != resultOK).Foreground(lipgloss.Color(colour))
}

// widthOf gives the width of a terminal, 0 for anything else.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return 0
	}
	width, _, err := term.GetSize(f.Fd())
	if err != nil {
		return 0
	}
	return width
}

// writeWrapped writes a text behind a head; what does not fit goes below it, in
// the column of the text. A width of 0 has no end.
func writeWrapped(b *strings.Builder, head, text string, width int, style lipgloss.Style) {
	indent := ansi.StringWidth(head)
	lines := []string{text}
	if width > 0 {
		lines = strings.Split(ansi.Wrap(text, max(width-indent, 20), ""), "\n")
	}
	for i, l := range lines {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		b.WriteString(strings.TrimRight(head+style.Render(strings.TrimSpace(l)), " ") + "\n")
	}
}
