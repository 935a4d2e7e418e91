package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"selfprotect/blocklist"
	"selfprotect/config"
	"selfprotect/firewall"
	"selfprotect/journal"
)

// guardLacks is in every warning about a part of the guard that could not be read.
const guardLacks = "guard lacks"

// checkGuard says which parts of the guard are there. It waits for the ACLs, as
// some parts are read with them.
func checkGuard(ctx context.Context, c *checker, cfg *config.Config, env func(string) string, acls <-chan []firewall.ACL) {
	checkRanges(c, cfg)
	source, err := newSource(cfg)
	if err != nil {
		c.warn("agents' addresses", "they are not known: "+err.Error(), "mend the alert API first")
		return
	}
	aws, err := newFirewall(ctx, cfg, true)
	if err != nil {
		c.warn("own addresses", "they are not known: "+err.Error(), "mend AWS first")
		return
	}
	g := newGuardian(cfg, source, aws, env)
	entries, err := g.guarded(ctx)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			c.warn("guard data", line, "mend the service that it comes from; until then the guard lacks these addresses")
		}
	}
	c.ok("guard data", "%d prefixes looked up, %d named in never_block", len(entries), len(cfg.Guard.NeverBlock))
	select {
	case list := <-acls:
		checkOwn(c, cfg, list)
	case <-ctx.Done():
		c.warn("own addresses", "they could not be read from AWS in time", "mend AWS first; until then nothing is blocked")
	}
}

// checkOwn says which addresses of our own could not be read with the ACLs.
func checkOwn(c *checker, cfg *config.Config, acls []firewall.ACL) {
	if len(acls) == 0 {
		c.warn("own addresses", "they are not known, as no network ACL could be read", "mend AWS first; until then nothing is blocked")
		return
	}
	told := map[string]bool{}
	own := 0
	for _, a := range acls {
		own += len(a.CIDRs) + len(a.Own)
		for _, w := range a.Warnings {
			if strings.Contains(w, guardLacks) && !told[w] {
				told[w] = true
				c.warn("own addresses", lacking(w), "grant it as "+policyFile(cfg)+" does, or name the addresses in never_block")
			}
		}
	}
	if len(told) == 0 {
		c.ok("own addresses", "%d networks and addresses of our own in AWS, every part read", own)
	}
}

// lacking shortens a warning to what is lacking and why.
func lacking(warning string) string {
	what, cause, ok := strings.Cut(warning, ", so the guard lacks them: ")
	if !ok {
		return warning
	}
	cause, _, _ = strings.Cut(cause, ": ")
	return what + ": " + cause
}

func checkRanges(c *checker, cfg *config.Config) {
	r, err := readRanges(rangesPath(cfg))
	const update = "selfprotect guard update"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		what, _, _ := strings.Cut(errNoRanges.Error(), ": ")
		c.warn("AWS's own ranges", what, update)
	case err != nil:
		c.fail("AWS's own ranges", err.Error(), update)
	case time.Since(r.Made) > oldRanges:
		c.warn("AWS's own ranges", fmt.Sprintf("the address ranges of AWS's services are of %s", r.Made.Format("2006-01-02")), update)
	default:
		c.ok("AWS's own ranges", "%d prefixes (%s)", len(r.Entries), r.Made.Format("2006-01-02"))
	}
}

// lowDisk is how many bytes the journal should find free.
const lowDisk = 100 << 20

func checkJournal(ctx context.Context, c *checker, cfg *config.Config, verify bool) {
	path := cfg.State.Path
	switch _, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		c.ok("journal", "%s is not there yet: the first run makes it", homely(path))
	case err != nil:
		c.fail("journal", err.Error(), "make its directory readable for this user, or name another file with --state")
	default:
		checkRecords(ctx, c, path, verify)
	}
	checkDisk(c, "disk", path)
	if filepath.Dir(cfg.Log.Path) != filepath.Dir(path) {
		checkDisk(c, "disk of the log", cfg.Log.Path)
	}
}

// checkRecords opens the journal and reads its end, or all of it.
func checkRecords(ctx context.Context, c *checker, path string, verify bool) {
	n, err := readJournal(ctx, path, verify)
	switch {
	case errors.Is(err, journal.ErrNewer), errors.Is(err, blocklist.ErrNewer):
		c.fail("journal", fmt.Sprintf("%s was written by a newer version of this program", homely(path)), "run that version, or name another file with --state")
	case errors.Is(err, journal.ErrCorrupt):
		c.fail("journal", err.Error(), "keep the file, restore a copy of it, and look what happened: its own entries are foreign to a new journal")
	case err != nil:
		c.failed("journal", err, "name another file with --state")
	case verify:
		c.ok("journal", "%s: the chain of %d records is whole", homely(path), n)
	default:
		c.ok("journal", "%s: %d records, the last one fits (--verify reads all)", homely(path), n)
	}
}

func readJournal(ctx context.Context, path string, verify bool) (n uint64, err error) {
	j, err := journal.OpenReadOnly(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if n, err = j.Head(ctx); err != nil || n == 0 {
		return n, err
	}
	from := n - 1
	if verify {
		from = 0
	}
	return n, j.Read(ctx, from, func(_ uint64, b []byte) error {
		_, err := blocklist.Decode(b)
		return err
	})
}

// checkDisk says whether a file may be written and how much room there is.
func checkDisk(c *checker, what, path string) {
	dir := filepath.Dir(path)
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, writable, err := roomIn(dir)
	room(c, what, dir, free, writable, err)
}

// room judges what is known of a disk.
func room(c *checker, what, dir string, free uint64, writable bool, err error) {
	dir = homely(dir)
	switch {
	case err != nil:
		c.warn(what, fmt.Sprintf("%s: %s", dir, err), "make sure that there is room")
	case !writable:
		c.fail(what, fmt.Sprintf("%s may not be written by this user", dir), "chown or chmod it, or name other files with --state and --log")
	case free < lowDisk:
		c.fail(what, fmt.Sprintf("%s: only %s free", dir, humanize.IBytes(free)), "make room: without it nothing is recorded, and what is not recorded is not done")
	default:
		c.ok(what, "%s: %s free", dir, humanize.IBytes(free))
	}
}

// homely writes paths below the home directory with ~, in a list of them too.
func homely(paths string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "" || home == "/" {
		return paths
	}
	list := strings.Split(paths, ", ")
	for i, p := range list {
		if rest, ok := strings.CutPrefix(p, home+string(filepath.Separator)); ok {
			list[i] = "~" + string(filepath.Separator) + rest
		}
	}
	return strings.Join(list, ", ")
}
