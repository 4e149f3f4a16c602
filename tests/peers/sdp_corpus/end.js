// In the page: the ends of calls, by number, and what the collector asks of one.
const ends = [];
let media;

/** The microphone or the camera, made up by the browser; each call gives another track. */
async function capture(kind) {
  media ??= navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 160, height: 120, frameRate: 5 } });
  return (await media).getTracks().find(track => track.kind === kind).clone();
}

class End {
  #candidates = []; #finished = 0; #waiting = [];

  constructor(configuration) {
    this.pc = new RTCPeerConnection(configuration);
    this.pc.addEventListener('icecandidate', ({ candidate }) => {
      if (candidate?.candidate) this.#candidates.push(candidate.toJSON());
      if (!candidate) this.#finished += 1;
    });
    for (const event of ['icecandidate', 'icegatheringstatechange', 'connectionstatechange']) this.pc.addEventListener(event, () => this.#wake());
  }

  #wake() { this.#waiting.splice(0).forEach(resolve => resolve()); }

  async #until(condition) {
    while (!condition()) await new Promise(resolve => this.#waiting.push(resolve));
  }

  /** A track of each kind named, all in one stream. */
  async add(kinds) {
    const stream = new MediaStream(await Promise.all(kinds.map(capture)));
    for (const track of stream.getTracks()) this.pc.addTrack(track, stream);
  }

  /** Makes it the local description. `fresh`: ICE begins anew, so candidates are certain to come. */
  async setLocal(description, fresh) {
    const before = this.#finished;
    await this.pc.setLocalDescription(description);
    if (fresh) await this.#until(() => this.#finished > before);
  }

  /** What has been gathered since the last call, as `onicecandidate` gave it. Also a description from outside can begin it. */
  async gathered() {
    await this.pc.getStats(); // comes after whatever the last description has set going
    await this.#until(() => this.pc.iceGatheringState !== 'gathering');
    return this.#candidates.splice(0);
  }

  async trickle(candidates) {
    for (const candidate of candidates) await this.pc.addIceCandidate(candidate);
    await this.pc.addIceCandidate();
  }

  connected() { return this.#until(() => this.pc.connectionState === 'connected'); }
}
