package engine

// LinesAfter gives the lines of the log that came after the one with an ID, oldest
// first. They are part of the snapshot: read them, and do not change them.
func (s *Snapshot) LinesAfter(id uint64) []LogLine {
	i := len(s.Log)
	for i > 0 && s.Log[i-1].ID > id {
		i--
	}
	return s.Log[i:]
}

// LastLine gives the ID of the newest line, 0 when there is none.
func (s *Snapshot) LastLine() uint64 {
	if len(s.Log) == 0 {
		return 0
	}
	return s.Log[len(s.Log)-1].ID
}
