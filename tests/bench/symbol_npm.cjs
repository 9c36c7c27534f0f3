// npm qrcode on the same text as symbol.rs, with the same lines as output.
const qrcode = require('qrcode')

const TEXT = 'HTTPS://Q.EXAMPLE/R/K7M2Q9XP'
const ROUNDS = 1000

async function main () {
  for (const [format, draw] of [
    ['svg', width => qrcode.toString(TEXT, { type: 'svg', width, errorCorrectionLevel: 'M' })],
    ['png', width => qrcode.toBuffer(TEXT, { width, errorCorrectionLevel: 'M' })]
  ]) {
    for (const size of [256, 264, 1024]) {
      const rounds = size > 264 && format === 'png' ? ROUNDS / 20 : ROUNDS
      const times = []
      for (let round = 0; round < rounds * 2; round++) {
        const start = process.hrtime.bigint()
        await draw(size)
        // The first half warms up.
        if (round >= rounds) times.push(Number(process.hrtime.bigint() - start) / 1000)
      }
      times.sort((a, b) => a - b)
      const micros = Math.round(times[rounds / 2])
      console.log(['npm qrcode', format, size, micros, (await draw(size)).length].join('\t'))
    }
  }
}

main()
