// Package threatstack reads alerts from the Threat Stack REST API (version 2)
// and gives them as [alert.Alert]. It decides nothing.
//
// The protocol. Every request is signed with Hawk (HMAC-SHA256 over the raw
// request target, host and port, with the organization id as ext) and every good
// answer's Server-Authorization is checked over the body that arrived; an answer
// that fails the check is an error and is never decoded. A poll ([Client.Alerts])
// first lists the active alerts of each watched rule, created since the engine's
// mark less an overlap, and delivers each new one at once, without events, so
// that the addresses in its aggregated fields are judged from that one answer.
// Then it reads the events of each new alert and delivers it again, complete.
// Last it asks for the agents that reported them, each at most once a day.
//
// Requests: one for each watched rule when nothing is new, one more for each new
// alert. An alert is a bucket that may gain events for an hour ([Config.Window])
// without a sign in the list, so an alert whose fields name no address has its
// events read again at ages of 1, 2, 4, 8 … minutes and at the end of the window,
// and is delivered again when they changed.
//
// All requests share one budget for each rolling minute. Lists may use all of
// it; events leave what the lists of a minute need, and agents twice that. A poll never waits for the budget:
// events and agents that it does not allow wait for a later poll, and a list that
// it cuts off goes on from the page it had reached.
//
// A poll that yields an error was not read to the end, and the mark must not
// move. Nothing is lost: what was delivered is remembered, the rest comes again,
// and a consumer that could not keep what was delivered asks for it with
// [Client.Again].
package threatstack
