package journal

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestDiskFull holds that a full disk is said, writes nothing, and that the same
// handle goes on when there is room again.
func TestDiskFull(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	last, err := s.Append(t.Context(), 0, []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		if _, err := s.db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(20)
	big := []byte(strings.Repeat("x", 20_000))
	for range 2 { // 2 of the 3 payloads would have had room
		_, err = s.Append(t.Context(), last, big, big, big, big)
		if err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Fatalf("got %v", err)
		}
	}
	if err := s.SaveCheckpoint(t.Context(), 1, make([]byte, 100_000)); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("checkpoint: got %v", err)
	}
	if head, err := s.Head(t.Context()); head != last || err != nil {
		t.Errorf("head: got %d, %v, want %d", head, err, last)
	}
	limit(1 << 30)
	if last, err = s.Append(t.Context(), last, big, big, big, big); last != 5 || err != nil {
		t.Errorf("with room: got %d, %v", last, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHash holds the chain to its documented bytes; the values were computed with
// sha256sum.
func TestHash(t *testing.T) {
	one := Record{Seq: 1, Version: 1, At: 0x0102030405060708, Payload: []byte(`{"n":1}`)}
	one.Seal(Hash{})
	two := Record{Seq: 2, Version: 1, At: -1, Payload: nil}
	two.Seal(one.Hash)
	for i, want := range []string{
		"980575ca756c534cca7c8bd01c50ff7c79c14127a9a6f35635fe97d0a9d6cd64",
		"56bad9e7a8b6b90d401c565cfebd5a28ac3419f63b1669f5d37070eb6a3b4ccf",
	} {
		if got := hex.EncodeToString([]Record{one, two}[i].hashBytes()); got != want {
			t.Errorf("record %d: %s, want %s", i+1, got, want)
		}
	}
}

func (r Record) hashBytes() []byte { return r.Hash[:] }

// FuzzRecord holds that a record is accepted in its own place only.
func FuzzRecord(f *testing.F) {
	f.Add(uint64(1), uint32(1), int64(5), []byte("{}"), []byte{}, uint16(0))
	f.Add(uint64(0), uint32(2), int64(-5), []byte{}, make([]byte, 32), uint16(300))
	f.Fuzz(func(t *testing.T, seq uint64, version uint32, at int64, payload, prev []byte, bit uint16) {
		var link Hash
		copy(link[:], prev)
		r := Record{Seq: seq, Version: version, At: at, Payload: payload}
		r.Seal(link)
		if err := r.Verify(seq-1, link); (err == nil) != (version <= Version) {
			t.Fatalf("version %d: %v", version, err)
		}
		r.Version = Version
		r.Seal(link)
		bad := []Record{r, r, r, r}
		bad[0].Hash[bit/8%32] ^= 1 << (bit % 8)
		bad[1].At ^= 1 << (bit % 64)
		bad[2].Version = 0
		bad[3].Payload = append([]byte{0}, payload...)
		other := link
		other[bit/8%32] ^= 1 << (bit % 8)
		if r.Verify(seq, link) == nil || r.Verify(seq-1, other) == nil {
			t.Error("accepted in another place")
		}
		for i, b := range bad {
			if b.Verify(seq-1, link) == nil {
				t.Errorf("change %d was accepted", i)
			}
		}
	})
}
