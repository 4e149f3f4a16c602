// In the page, behind sdp_corpus/end.js: an end that plays what it receives and sends back what its channels bring.
class CallEnd extends End {
  #received = []; #channels = [];

  constructor(configuration) {
    super(configuration);
    this.pc.addEventListener('track', ({ track }) => {
      const player = Object.assign(document.createElement(track.kind), { srcObject: new MediaStream([track]), autoplay: true, muted: track.kind === 'video' });
      document.body.append(player);
      player.play().catch(() => {}); // interrupted where a track ends at once
    });
    this.pc.addEventListener('datachannel', ({ channel }) => {
      channel.onmessage = ({ data }) => channel.send(`${data}, says the other end`);
      this.#channels.push(channel); // or it may be collected
    });
  }

  open() {
    const channel = this.pc.createDataChannel('chat');
    this.#channels.push(channel);
    channel.onmessage = ({ data }) => this.#received.push(data);
  }

  /** What comes back for a text. */
  async echo(text) {
    const [channel] = this.#channels;
    if (channel.readyState !== 'open') await new Promise(resolve => channel.addEventListener('open', resolve, { once: true }));
    const answer = new Promise(resolve => channel.addEventListener('message', ({ data }) => resolve(data), { once: true }));
    channel.send(text);
    return answer;
  }

  /** Sums over the streams that come in, or go out, of a kind. */
  async count(direction, kind) {
    const streams = [...(await this.pc.getStats()).values()].filter(s => s.type === `${direction}-rtp` && s.kind === kind);
    const sum = name => streams.reduce((n, s) => n + (s[name] ?? 0), 0);
    return direction === 'outbound' ? { streams: streams.filter(s => s.packetsSent > 0).length }
      : { packets: sum('packetsReceived'), ...(kind === 'video' ? { frames: sum('framesDecoded') } : { energy: sum('totalAudioEnergy') }) };
  }

  /** Waits until each of the counters is as high. */
  async reaches(direction, kind, least) {
    for (;;) {
      const now = await this.count(direction, kind);
      if (Object.entries(least).every(([name, value]) => now[name] >= value)) return;
      await new Promise(resolve => setTimeout(resolve, 50)); // statistics have no event
    }
  }

  /** Waits until each of the counters of what comes in is above that of now by so much. */
  async receives(kind, more) {
    const now = await this.count('inbound', kind);
    await this.reaches('inbound', kind, Object.fromEntries(Object.entries(more).map(([name, value]) => [name, now[name] + value])));
  }

  /** Gives the devices back too: another call may want other pictures. */
  async close() {
    for (const sender of this.pc.getSenders()) sender.track?.stop();
    this.pc.close();
    const used = media;
    media = undefined;
    (await used)?.getTracks().forEach(track => track.stop());
  }

  directions() { return this.pc.getTransceivers().map(t => t.currentDirection ?? t.direction); }
}
