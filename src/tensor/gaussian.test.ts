/** @file Gaussian moments against closed forms and 30-digit quadrature (mpmath). */
import { describe, expect, it } from "vitest";
import {
  erf,
  erfc,
  type LinearPiece,
  maxOfGaussians,
  piecewiseLinearMoments,
  smoothMoments,
} from "./gaussian.ts";

const relative = (got: number, want: number) => Math.abs(got - want) / Math.abs(want);

const relu: readonly LinearPiece[] = [
  { from: Number.NEGATIVE_INFINITY, slope: 0, intercept: 0 },
  { from: 0, slope: 1, intercept: 0 },
];
const relu6: readonly LinearPiece[] = [...relu, { from: 6, slope: 0, intercept: 6 }];
const hardSigmoid: readonly LinearPiece[] = [
  { from: Number.NEGATIVE_INFINITY, slope: 0, intercept: 0 },
  { from: -2.5, slope: 0.2, intercept: 0.5 },
  { from: 2.5, slope: 0, intercept: 1 },
];

describe("erfc", () => {
  it.each([
    [-3, 1.9999779095030015],
    [-1, 1.8427007929497148],
    [-0.3, 1.3286267594591274],
    [0.1, 0.8875370839817152],
    [0.5, 0.4795001221869535],
    [1, 0.15729920705028513],
    [1.9, 0.00720957076474253],
    [2, 0.004677734981047266],
    [2.1, 0.0029794666563329854],
    [3, 2.209049699858544e-5],
    [5, 1.537459794428035e-12],
    [8, 1.1224297172982926e-29],
    [13, 1.7395573154667246e-75],
    [20, 5.395865611607901e-176],
    [26, 5.663192408856143e-296],
  ])("of %d has a relative error below 3e-13", (x, want) => {
    expect(relative(erfc(x), want)).toBeLessThan(3e-13);
    expect(erf(x)).toBeCloseTo(1 - want, 14);
  });

  it("underflows to 0, reaches 2 and is 1 at 0", () => {
    expect([erfc(40), erfc(-40), erfc(0), erf(0)]).toEqual([0, 2, 1, 0]);
    expect([erfc(Number.POSITIVE_INFINITY), erfc(Number.NEGATIVE_INFINITY)]).toEqual([0, 2]);
  });
});

describe("piecewise-linear functions of a Gaussian", () => {
  it.each([
    [1, 0, 0.39894228, 0.34084506],
    [1, 1, 1.0833155, 0.75108781],
    [1, -1, 0.083315471, 0.068398316],
    [0.5, 2, 2.0000036, 0.24998494],
    [2, -1, 0.39559311, 0.68206313],
    [1, -3, 3.8215e-4, 2.0329e-4],
  ])("ReLU of N(beta, gamma²), gamma %d, beta %d", (gamma, beta, mean, variance) => {
    const got = piecewiseLinearMoments(relu, { mean: beta, variance: gamma * gamma });
    expect(relative(got.mean, mean)).toBeLessThan(2e-5);
    expect(relative(got.variance, variance)).toBeLessThan(5e-5);
  });

  it.each([
    [-6, 1.563569795970966e-10],
    [-12, 1.460520116984555e-34],
  ])("ReLU keeps its relative precision far in the tail: beta %d", (mean, want) => {
    const got = piecewiseLinearMoments(relu, { mean, variance: 1 });
    expect(relative(got.mean, want)).toBeLessThan(1e-10);
  });

  it("ReLU far on the linear side keeps the variance exactly", () => {
    const got = piecewiseLinearMoments(relu, { mean: 1e9, variance: 1e-4 });
    expect(got.mean).toBe(1e9);
    expect(got.variance).toBeCloseTo(1e-4, 15);
  });

  it.each([
    ["relu6", relu6, 0, 1, 0.3989422802450757, 0.34084505510813],
    ["relu6", relu6, 3, 9, 3, 4.64452695865542],
    ["relu6", relu6, 5, 4, 4.608415159555644, 2.172038009933222],
    ["hard sigmoid", hardSigmoid, 0, 1, 0.5, 0.03910239933811227],
    ["hard sigmoid", hardSigmoid, 3, 9, 0.8151903268698426, 0.08365015514195223],
  ] as const)("%s, N(%4$d, %5$d)", (_, pieces, m, v, mean, variance) => {
    const got = piecewiseLinearMoments(pieces, { mean: m, variance: v });
    expect(relative(got.mean, mean)).toBeLessThan(1e-12);
    expect(relative(got.variance, variance)).toBeLessThan(1e-12);
  });

  it.each([
    [2, 2],
    [0, 0],
    [-1, 0],
  ])("without variance is the function itself: %d", (mean, want) => {
    expect(piecewiseLinearMoments(relu, { mean, variance: 0 })).toEqual({
      mean: want,
      variance: 0,
    });
  });
});

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const hardSwish = (x: number) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1);
const functions: Readonly<Record<string, readonly [(x: number) => number, readonly number[]]>> = {
  sigmoid: [sigmoid, []],
  tanh: [Math.tanh, []],
  gelu: [(x) => 0.5 * x * erfc(-x / Math.SQRT2), []],
  hardswish: [hardSwish, [-3, 3]],
  elu: [(x) => (x > 0 ? x : Math.expm1(x)), [0]],
  softplus: [softplus, []],
  mish: [(x) => x * Math.tanh(softplus(x)), []],
  softsign: [(x) => x / (1 + Math.abs(x)), [0]],
  swish: [(x) => x * sigmoid(x), []],
};

describe("smooth and kinked functions of a Gaussian", () => {
  it.each([
    ["sigmoid", 0, 1, 0.5, 0.04337903585809296],
    ["sigmoid", 0.7, 4, 0.6047142212627887, 0.09307041603533914],
    ["sigmoid", -2, 0.25, 0.1290065363772216, 0.003167157750887475],
    ["sigmoid", 1, 400, 0.5198575769848539, 0.2297645078622493],
    ["tanh", 0, 1, 0, 0.3942944903978412],
    ["tanh", 0.7, 4, 0.2509973058379419, 0.5905844636704086],
    ["tanh", -2, 0.25, -0.9437920313963026, 0.00406651933190042],
    ["tanh", 1, 400, 0.03983673638311051, 0.9586094162767128],
    ["gelu", 0, 1, 0.2820947917738781, 0.345644011024351],
    ["gelu", 0.7, 4, 1.115538661739414, 2.054986245727633],
    ["gelu", -2, 0.25, -0.05562784778422582, 0.001685280438645009],
    ["gelu", 1, 400, 8.478874581615333, 144.563651522861],
    ["hardswish", 0, 1, 0.1662167006561233, 0.3039393835609004],
    ["hardswish", 0.7, 4, 0.9819574959644762, 2.111787679100884],
    ["hardswish", -2, 0.25, -0.2940297059339791, 0.008547539216029751],
    ["hardswish", 1, 400, 8.45903412993734, 144.8731923509423],
    ["elu", 0, 1, 0.160520572266556, 0.6191785633721412],
    ["elu", 0.7, 4, 0.9727644609712052, 2.604545557396825],
    ["elu", -2, 0.25, -0.8466454641087249, 0.006678595407739343],
    ["elu", 1, 400, 8.028579338579185, 152.4566100025606],
    ["softplus", 0, 1, 0.8060591833474398, 0.2715145018005587],
    ["softplus", 0.7, 4, 1.454588245678578, 1.641081382144461],
    ["softplus", -2, 0.25, 0.1403282057760997, 0.004548757471128452],
    ["softplus", 1, 400, 8.5214944106375, 143.896257586313],
    ["mish", 0, 1, 0.2404038883747914, 0.3945481628301636],
    ["mish", 0.7, 4, 1.074556132931903, 2.154269889239654],
    ["mish", -2, 0.25, -0.2461821397346489, 0.002085421572896462],
    ["mish", 1, 400, 8.46665022901789, 144.7722614401715],
    ["softsign", 0, 1, 0, 0.1830140212665475],
    ["softsign", 0.7, 4, 0.1842213017907909, 0.3026368650156987],
    ["softsign", -2, 0.25, -0.6565017345150311, 0.004004808686066521],
    ["softsign", 1, 400, 0.0376897098592845, 0.7881639342185265],
    ["swish", 0, 1, 0.206620964141907, 0.3130832969944209],
    ["swish", 0.7, 4, 1.007158018203906, 2.026621859990867],
    ["swish", -2, 0.25, -0.2307138997048715, 0.00147024481365574],
    ["swish", 1, 400, 8.456325086601376, 144.8899200946454],
  ])("%s of N(%d, %d)", (name, m, v, mean, variance) => {
    const [f, kinks] = functions[name];
    const got = smoothMoments(f, kinks, { mean: m, variance: v });
    expect(Math.abs(got.mean - mean)).toBeLessThan(1e-11 * (1 + Math.abs(mean)));
    expect(relative(got.variance, variance)).toBeLessThan(1e-10);
  });

  it("agree with the closed form of ReLU, at any scale", () => {
    for (const sigma of [1e-6, 0.01, 3, 1e4])
      for (const t of [-3, -0.1, 0, 2]) {
        const x = { mean: t * sigma, variance: sigma * sigma };
        const exact = piecewiseLinearMoments(relu, x);
        const got = smoothMoments((y) => Math.max(y, 0), [0], x);
        expect(relative(got.mean, exact.mean)).toBeLessThan(1e-10);
        expect(relative(got.variance, exact.variance)).toBeLessThan(1e-10);
      }
  });

  it("without variance are the function itself", () => {
    expect(smoothMoments(Math.tanh, [], { mean: 0.5, variance: 0 })).toEqual({
      mean: Math.tanh(0.5),
      variance: 0,
    });
  });
});

describe("the largest of n Gaussians", () => {
  it.each([
    [1, 0, 1],
    [2, 0.5641895835477563, 0.6816901138162093],
    [4, 1.029375373003964, 0.4917152368747418],
    [9, 1.485013162209237, 0.3573533263578133],
    [49, 2.241189597079206, 0.2167735078189659],
    [12544, 3.906999423986736, 0.09027772601535002],
  ])("n = %d", (n, mean, variance) => {
    const got = maxOfGaussians(n)({ mean: 3, variance: 4 });
    expect(got.mean).toBeCloseTo(3 + 2 * mean, 11);
    expect(got.variance).toBeCloseTo(4 * variance, 10);
  });

  it("without variance is the mean", () => {
    expect(maxOfGaussians(9)({ mean: -2, variance: 0 })).toEqual({ mean: -2, variance: 0 });
  });
});
