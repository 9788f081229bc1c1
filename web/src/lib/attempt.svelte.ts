// Something that a person asked for and that may fail: under way, or why it did not work. What forms and buttons stand on.
import { Failure } from './api/call';

/** Words for what was thrown; none where it is told in another place. */
export type Words = (thrown: unknown) => string;

export class Attempt {
  /** What is under way, by its name; empty if nothing is. */
  doing = $state('');
  /** Why the last one did not work, for a person. */
  error = $state('');
  private count = 0;

  constructor(private readonly words: Words = (thrown) => Failure.of(thrown).message) {}

  get busy(): boolean {
    return this.doing !== '';
  }

  /** Does it, and says what came of it. Of two at once the later one is told of. */
  async run(step: () => Promise<unknown>, doing = 'it'): Promise<void> {
    const mine = ++this.count;
    this.doing = doing;
    this.error = '';
    try {
      await step();
    } catch (thrown) {
      if (mine === this.count) this.error = this.words(thrown);
    } finally {
      if (mine === this.count) this.doing = '';
    }
  }

  /** As `run`, for what a form submits. */
  submit(event: Event | undefined, step: () => Promise<unknown>, doing?: string): Promise<void> {
    event?.preventDefault();
    return this.run(step, doing);
  }
}
