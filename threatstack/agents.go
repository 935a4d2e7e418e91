package threatstack

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"selfprotect/alert"
)

const (
	agentFresh = 24 * time.Hour // how long an answer about an agent holds
	agentRetry = 2 * time.Minute
	maxAgents  = 10_000
	maxPublic  = 10_000
)

// agentEntry is what is known of one agent.
type agentEntry struct {
	agent  *alert.Agent // nil when unknown; never changed once set
	wanted bool         // an alert named it since the last request
	next   time.Time    // before this no request for it
}

// wantAgent notes that an alert names the agent.
func (c *Client) wantAgent(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.agents[id]
	if e == nil {
		if len(c.agents) >= maxAgents {
			clear(c.agents)
		}
		e = &agentEntry{}
		c.agents[id] = e
	}
	e.wanted = true
}

// agent gives the agent when it is known.
func (c *Client) agent(id string) *alert.Agent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.agents[id]; e != nil {
		return e.agent
	}
	return nil
}

// agentsDue gives the ids of the agents to ask for, sorted.
func (c *Client) agentsDue(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for id, e := range c.agents {
		if e.wanted && !now.Before(e.next) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// agents asks for the agents that alerts named. An agent that is gone is not
// asked for again on the same day.
func (p *poll) agents() error {
	begun, failures := time.Now(), 0
	for _, id := range p.c.agentsDue(begun) {
		if failures >= maxFailures || time.Since(begun) > eventPhase {
			return nil
		}
		body, err := p.c.get(p.ctx, "read agent", forAgents, true, "/v2/agents/"+url.PathEscape(id), "")
		if p.ctx.Err() != nil {
			return failed(p.ctx, "read agent", p.c.host, p.ctx.Err())
		}
		if err != nil && kindOf(err) != NotFound {
			if everyRequest(err) {
				return nil // the next list reports it
			}
			p.c.agentAnswer(id, nil, agentRetry)
			failures++
			continue
		}
		failures = 0
		if err != nil {
			p.c.agentAnswer(id, nil, agentFresh)
			continue
		}
		a, err := decodeAgent(body)
		if err == nil && a.ID != id {
			err = errors.New("it is another agent")
		}
		if err != nil {
			p.c.noteError(unreadAgent("read agent", err))
			p.c.agentAnswer(id, nil, agentRetry)
			continue
		}
		p.c.agentAnswer(id, &a, agentFresh)
	}
	return nil
}

// agentAnswer records what was learned of an agent; it holds for a time.
func (c *Client) agentAnswer(id string, a *alert.Agent, holds time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.agents[id]
	if e == nil {
		e = &agentEntry{}
		c.agents[id] = e
	}
	e.next = time.Now().Add(holds)
	e.wanted = a == nil && holds < agentFresh
	if a == nil {
		return
	}
	e.agent = a
	for _, s := range a.Public {
		if addr, ok := bareAddr(s); ok && len(c.public) < maxPublic {
			c.public[addr] = true
		}
	}
}

// OnlineAgents gives every agent that is online, sorted by id. Their public
// addresses are in Status from then on.
func (c *Client) OnlineAgents(ctx context.Context) ([]alert.Agent, error) {
	const op = "list agents"
	els, err := c.all(ctx, op, forEvents, "/v2/agents", query("status", "online"), "agents")
	if err != nil {
		return nil, err
	}
	var out []alert.Agent
	for _, el := range els {
		a, err := decodeAgent(el)
		if err != nil {
			c.noteError(unreadAgent(op, err))
			continue
		}
		c.agentAnswer(a.ID, &a, agentFresh)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b alert.Agent) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b alert.Agent) bool { return a.ID == b.ID }), nil
}

func unreadAgent(op string, err error) error {
	return &Error{Kind: BadAnswer, Op: op, Status: http.StatusOK,
		Message: "an agent could not be read: " + err.Error(), Hint: "its addresses are not known to be ours"}
}
