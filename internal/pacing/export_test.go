package pacing

// Scopes returns how many scopes a Pacer remembers.
func (p *Pacer) Scopes() int { return len(p.scopes) }
