/**
 * Calls that take awards back, hide users and look back.
 *
 * What they change is exactly once by an id of its own, so each may be sent again.
 */

import { randomUUID } from 'node:crypto';

import { create } from '@bufbuild/protobuf';
import type { DescMessage, DescMethodUnary, MessageShape } from '@bufbuild/protobuf';

import { malformed } from '../errors.js';
import {
  CorrectionService,
  ReverseAwardRequestSchema,
  ReverseAwardsRequestSchema,
  SetUserVisibilityRequestSchema,
} from '../generated/score_api/v1/correction_service_pb.js';
import { LedgerService, ListAwardsRequestSchema } from '../generated/score_api/v1/ledger_service_pb.js';
import { decodeAwardsView, decodePlan, decodeReversalResult, decodeVisibility } from '../messages/decode.js';
import * as encode from '../messages/encode.js';
import type {
  AwardFilter,
  AwardsView,
  ReversalPlan,
  ReversalResult,
  Visibility,
  VisibilityResult,
} from '../types.js';

/** What every call takes. */
export interface CallOptions {
  /** Milliseconds that all tries of the call may take. */
  readonly timeoutMs?: number;
  /** Ends the call; what it was to change may be changed or not. */
  readonly signal?: AbortSignal;
}

/** Who answers for a correction. Both stand in the ledger for ever. */
export interface Reasoned {
  /** Why, 1 to 500 characters for those who look back. */
  readonly reason: string;
  /** The person that it is made for, if not the caller itself. */
  readonly onBehalfOf?: string;
}

/** The calls, for a client that can make one. */
export abstract class CorrectionCalls {
  protected abstract call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>>;

  /**
   * Take an award back, exactly once for each (`boardId`, `reversalId`).
   *
   * The standing of its user becomes what it would be had the award never been made. A period whose result is final
   * keeps it, and lists the reversal.
   *
   * @throws AwardNotFoundError, AwardReversedError; HistoryArchivedError if the award is archived, and was not taken back
   * before; after UnavailableError or ServiceFaultError the outcome is unknown: call again with the same ids.
   */
  async reverseAward(
    reversal: Reasoned & { boardId: string; awardId: string; reversalId?: string },
    options: CallOptions = {},
  ): Promise<ReversalResult> {
    const request = create(ReverseAwardRequestSchema, {
      boardId: encode.text('board_id', reversal.boardId),
      awardId: encode.uuid('award_id', reversal.awardId),
      reversalId: encode.uuid('reversal_id', reversal.reversalId ?? randomUUID()),
      ...reasoned(reversal),
    });
    return decodeReversalResult(await this.call(CorrectionService.method.reverseAward, request, options));
  }

  /**
   * Return what taking back all awards of a filter would change, and change nothing.
   *
   * @throws BoardNotFoundError; InvalidRequestError if the filter selects everything, or more than one plan may have.
   */
  async planReversals(
    { boardId, awardFilter }: { boardId: string; awardFilter: AwardFilter },
    options: CallOptions = {},
  ): Promise<ReversalPlan> {
    const request = create(ReverseAwardsRequestSchema, {
      boardId: encode.text('board_id', boardId),
      filter: encode.awardFilter(awardFilter),
      validateOnly: true,
    });
    const response = await this.call(CorrectionService.method.reverseAwards, request, options);
    return decodePlan(boardId, awardFilter, response);
  }

  /**
   * Take back the awards of a plan. Awards that were made since the plan are none of it.
   *
   * It works in steps, each with the time of a call. Where one fails the steps before it hold, and the same call goes
   * on. `onProgress` is called after each step with how many awards of the plan are reversed now.
   *
   * @returns how many awards of the plan are reversed now, by this call or before
   * @throws PlanStaleError; after UnavailableError or ServiceFaultError it is unknown how much was done: call again.
   */
  async applyReversals(
    plan: ReversalPlan,
    { onProgress, ...why }: Reasoned & { onProgress?: (reversed: bigint) => void },
    options: CallOptions = {},
  ): Promise<bigint> {
    const request = create(ReverseAwardsRequestSchema, {
      boardId: encode.text('board_id', plan.boardId),
      filter: encode.awardFilter(plan.awardFilter),
      planToken: encode.text('plan_token', plan.token),
      ...reasoned(why),
    });
    for (let done = -1n; ; ) {
      const { reversed, awards } = await this.call(CorrectionService.method.reverseAwards, request, options);
      onProgress?.(reversed);
      if (reversed >= awards) return reversed;
      if (reversed <= done) throw malformed('The service makes no progress.');
      done = reversed;
    }
  }

  /**
   * Set who may see a user on a board. A hidden user goes on collecting points.
   *
   * @throws StandingNotFoundError, BoardNotFoundError
   */
  async setUserVisibility(
    change: Reasoned & { boardId: string; userId: string; visibility: Visibility },
    options: CallOptions = {},
  ): Promise<VisibilityResult> {
    const request = create(SetUserVisibilityRequestSchema, {
      boardId: encode.text('board_id', change.boardId),
      userId: encode.text('user_id', change.userId),
      visibility: encode.visibility('visibility', change.visibility),
      ...reasoned(change),
    });
    return decodeVisibility(await this.call(CorrectionService.method.setUserVisibility, request, options));
  }

  /**
   * Return a page of the awards of a board, or of one user on it, newest first, without archived ones.
   *
   * @throws BoardNotFoundError
   */
  async listAwards(
    page: { boardId: string; userId?: string; pageSize?: number; pageToken?: string },
    options: CallOptions = {},
  ): Promise<AwardsView> {
    const request = create(ListAwardsRequestSchema, {
      boardId: encode.text('board_id', page.boardId),
      userId: encode.text('user_id', page.userId ?? ''),
      pageSize: encode.int32('page_size', page.pageSize ?? 50),
      pageToken: encode.text('page_token', page.pageToken ?? ''),
    });
    return decodeAwardsView(await this.call(LedgerService.method.listAwards, request, options));
  }
}

function reasoned({ reason, onBehalfOf }: Reasoned): { reason: string; onBehalfOf: string } {
  return { reason: encode.text('reason', reason), onBehalfOf: encode.text('on_behalf_of', onBehalfOf ?? '') };
}
